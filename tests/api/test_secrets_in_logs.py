"""A day of a service at the most talkative level, and then a search through all it said."""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.api.process import running
from tests.dummy_pipeline import STORED, DummyPipeline, photo

ADMIN, VERIFY, WRONG = "admin-hush-7Jq2-Vb1", "verify-hush-9Kx4-Wc5", "wrong-hush-3Lz8-Xd6"
NAME, GHOST = "Zaphod-B", "Trillian.M"
FILE = "holiday-in-rome.jpg"
PHOTOS = [photo("zaphod", f"variant{i}") for i in range(3)]
CRASHING = photo("crash", "Marvin")


@dataclass
class Day:
    """All that was said, and the scores that must not be among it."""

    texts: dict[str, str] = field(default_factory=dict)
    scores: set[str] = field(default_factory=set)


def _note_scores(day: Day, response: httpx.Response) -> None:
    body = response.json()
    for score in [body["score"], *(each["score"] for each in body.get("references") or [])]:
        # Fewer digits would be met by chance among the times that are measured.
        if len(str(score)) > 6:
            day.scores |= {str(score), f"{score:.5f}"}


def _live(client: httpx.Client, folder: Path, day: Day) -> None:
    admin, verify = {"X-API-Key": ADMIN}, {"Authorization": f"Bearer {VERIFY}"}
    files = [("files", (FILE, each)) for each in [*PHOTOS[:2], b"no image", PHOTOS[0]]]
    enrolled = client.post("/enroll", files=files, data={"subject": NAME}, headers=admin)
    assert enrolled.status_code == 201
    image_id = enrolled.json()["enrolled"][0]["image_id"]

    probe = {"file": (FILE, PHOTOS[2])}
    for fields, headers in (
        ({"subject": NAME, "detail": "true"}, admin),
        ({"subject": NAME.lower()}, verify),
        ({"subject": NAME, "detection_threshold": "0.5"}, admin),
    ):
        answer = client.post("/verify", files=probe, data=fields, headers=headers)
        assert answer.status_code == 200
        _note_scores(day, answer)
    two = {"source": (FILE, PHOTOS[0]), "target": (FILE, PHOTOS[1])}
    _note_scores(day, client.post("/compare", files=two, headers=verify))

    refused = [
        client.post("/verify", files=probe, data={"subject": GHOST}, headers=verify),
        client.post("/verify", files=probe, data={"subject": f"../{GHOST}"}, headers=verify),
        client.post("/verify", files=probe, data={GHOST: GHOST}, headers=verify),
        client.post("/verify", files=probe, data={"max_fmr": GHOST}, headers=verify),
        client.post("/verify", files={GHOST: (FILE, PHOTOS[0])}, headers=verify),
        client.post(f"/verify?subject={GHOST}", files=probe, headers=verify),
        client.post("/verify", content=PHOTOS[0], headers=verify),
        client.get(f"/subjects/{GHOST}", headers=admin),
        client.get(f"/subjects/{NAME}", headers=verify),
        client.get(f"/subjects/{NAME}", headers={"X-API-Key": WRONG}),
        client.get(f"/subjects/{NAME}", headers={"Authorization": f"Basic {WRONG}"}),
        client.get(f"/{GHOST}/{WRONG}", headers=admin),
        client.request(GHOST.upper(), f"/subjects/{NAME}", headers=admin),
    ]
    assert all(400 <= each.status_code < 500 for each in refused)
    crash = client.post(
        "/verify", files={"file": (FILE, CRASHING)}, data={"subject": NAME}, headers=verify
    )
    assert crash.json()["code"] == "internal_error"

    photos = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    for path in photos:
        path.unlink()
    gone = client.get(f"/subjects/{NAME}/images/{image_id}/content", headers=admin)
    assert gone.status_code >= 400
    client.delete(f"/subjects/{NAME}/images/none", headers=admin)
    for path, data in photos.items():
        path.write_bytes(data)
    assert client.delete(f"/subjects/{NAME}", headers=admin).status_code == 200
    day.texts["metrics"] = client.get("/metrics", headers=admin).text


@pytest.fixture(scope="module", params=["json", "console"])
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("secrets")
    day = Day()
    keys = f"admin:{ADMIN},verify:{VERIFY}"
    with running(
        folder, api_keys=keys, log_level="debug", log_format=request.param, sync_interval=0.1
    ) as server:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
            _live(client, folder / "data" / "verification_images", day)
        with server.socket() as rude:
            rude.sendall(f"GET /subjects/{NAME} HTTP/9.9\r\nX-API-Key: {ADMIN}\r\n\r\n".encode())
            assert rude.recv(1000)
        server.stop()
        assert server.exit_code() == 0
        day.texts["log"] = server.log_text()
    return day


def _assert_absent(day: Day, secrets: set[str]) -> None:
    assert secrets
    for place, text in day.texts.items():
        for secret in secrets:
            assert secret.lower() not in text.lower(), f"{secret} is in the {place}"


def test_the_day_was_talked_about(day: Day) -> None:
    assert day.texts["log"].count("/subjects/{subject}") >= 3
    assert "RuntimeError" in day.texts["log"]
    assert "OSError: [Errno 5] Input/output error" in day.texts["log"]
    assert "runner.py" in day.texts["log"]
    assert "facetwin_requests_total" in day.texts["metrics"]


def test_keys_are_absent(day: Day) -> None:
    _assert_absent(day, {ADMIN, VERIFY, WRONG, base64.b64encode(ADMIN.encode()).decode()})


def test_names_of_people_and_files_are_absent(day: Day) -> None:
    _assert_absent(day, {NAME, GHOST, "zaphod", "trillian", "marvin", FILE, "holiday"})


def test_scores_are_absent(day: Day) -> None:
    _assert_absent(day, day.scores)


def test_embeddings_are_absent(day: Day) -> None:
    numbers: set[str] = set()
    for data in PHOTOS:
        for stored in (data, STORED + data):
            vector = DummyPipeline()._embedding("zaphod", stored)
            numbers |= {f"{abs(value):.8f}" for value in vector} | {
                repr(v) for v in vector.tolist()
            }
            numbers |= {
                vector.tobytes().hex()[:40],
                base64.b64encode(vector.tobytes()).decode()[:40],
            }
    _assert_absent(day, numbers)


def test_bytes_of_photos_are_absent(day: Day) -> None:
    pieces: set[str] = set()
    for data in [*PHOTOS, CRASHING]:
        body = data.removeprefix(b"face:")
        pieces |= {body.decode(), body.hex(), repr(data)[2:-1]}
        # Base64 depends on where in three bytes a piece begins.
        pieces |= {base64.b64encode(body[i:]).decode()[2:-4] for i in range(3)}
    _assert_absent(day, pieces)


def test_no_address_of_a_client_is_told(day: Day) -> None:
    log = re.sub(r"running on http://127\.0\.0\.1:\d+", "", day.texts["log"])
    assert "127.0.0.1" not in log
