"""The service with the bundle that the repository ships, on real portraits."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.runtime import open_serving_runtime
from app.settings import Settings
from tests.api.service import Service
from tests.pictures import ASTRONAUT, HOPPER, blank, encode, read, side_by_side, with_exif

MODEL_DIR = Path(__file__).parents[2] / "model"
PEOPLE = {"astronaut": ASTRONAUT, "hopper": HOPPER}
REQUESTS = 240


def _photo(person: str, scale: float = 1.0) -> bytes:
    pixels = read(PEOPLE[person])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return encode(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = Settings(
        host="127.0.0.1",
        application_data_dir=tmp_path_factory.mktemp("application_data"),
        model_dir=MODEL_DIR,
        inference_threads=2,
        queue_size=REQUESTS,
        log_format="json",
    )
    with Service(settings, open_serving_runtime) as service:
        for person in PEOPLE:
            assert service.enroll(_photo(person), subject=person).status_code == 201
        yield service


def _essence(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in answer.items() if k not in {"timing_ms", "request_id"}}


def test_the_right_person_and_nobody_else_matches(real: Service) -> None:
    for person in PEOPLE:
        for subject in PEOPLE:
            answer = real.verify(_photo(person, scale=0.8), subject=subject).json()
            assert answer["verified"] is (person == subject), (person, subject, answer)
            assert answer["model"]["version"] == real.get("/version").json()["model"]["version"]


def test_it_is_ready(real: Service) -> None:
    answer = real.get("/readyz").json()

    assert answer["self_test"]["ok"] is True
    assert answer["references"] == len(PEOPLE)


def test_a_rotated_photo_is_the_upright_one(real: Service) -> None:
    turned = np.rot90(read(ASTRONAUT), 1)  # by 90 degrees to the left; EXIF 6 turns it back
    rotated = real.verify(with_exif(encode(turned), 6), subject="astronaut").json()
    upright = real.verify(encode(read(ASTRONAUT)), subject="astronaut").json()

    assert rotated["decision"] == upright["decision"] == "match"
    assert rotated["face"]["box"]["x"] == pytest.approx(upright["face"]["box"]["x"], abs=2)


def test_a_photo_without_a_face(real: Service) -> None:
    assert real.verify(encode(blank()), subject="astronaut").json()["code"] == "no_face"


def test_two_faces_under_single(real: Service) -> None:
    both = encode(side_by_side(read(ASTRONAUT), read(HOPPER)))

    answer = real.verify(both, subject="astronaut", face_policy="single").json()
    assert (answer["code"], answer["faces"]) == ("multiple_faces", 2)
    assert len(real.detect(both).json()["faces"]) == 2


def test_a_duplicate_is_answered_with_its_reason(real: Service) -> None:
    answer = real.enroll(_photo("astronaut"), subject="astronaut").json()

    assert answer["code"] == "enrollment_rejected"
    assert answer["rejected"][0]["reasons"][0]["code"] == "DUPLICATE_IMAGE"


def test_parallel_requests_answer_as_one_by_one(real: Service) -> None:
    calls = [
        (_photo(person, scale=scale), subject)
        for person in PEOPLE
        for subject in PEOPLE
        for scale in (1.0, 0.9, 0.7)
    ]

    def verify(i: int) -> dict[str, Any]:
        photo, subject = calls[i % len(calls)]
        return _essence(real.verify(photo, subject=subject).json())

    one_by_one = [verify(i) for i in range(len(calls))]
    with ThreadPoolExecutor(8) as clients:
        parallel = list(clients.map(verify, range(REQUESTS)))

    assert parallel == [one_by_one[i % len(calls)] for i in range(REQUESTS)]
    assert {answer["decision"] for answer in one_by_one} == {"match", "no_match"}
