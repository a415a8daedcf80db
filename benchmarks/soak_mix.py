"""The calls of the soak: what is sent, and what the answer must be."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Lock
from typing import Final

import cv2
import numpy as np

from benchmarks.calls import FORM, Answer, Caller, form
from benchmarks.photos import PEOPLE, variant

Check = Callable[[Answer], bool]
_RIGHT, _WRONG = PEOPLE
_SUBJECTS: Final = 8
_PATIENCE: Final = 100
"""A subject is deleted, and so made anew, once in so many enrolments."""


@dataclass(frozen=True)
class Step:
    """One call and the answers that are right."""

    name: str
    send: Callable[[Caller], Answer]
    right: Check


class Mix:
    """An endless, seeded succession of calls; the number of references stays bounded.

    Args:
        images: The folder verification_images, where a file is put and removed now and then.
    """

    def __init__(self, images: Path, seed: int) -> None:
        self._images = images
        self._random = Random(seed)
        self._photos = {p: [variant(p, i) for i in range(30)] for p in PEOPLE}
        self._large = variant(_RIGHT, 1, width=3000, height=2250)
        self._small = variant(_RIGHT, 2, width=160, height=160)
        self._bad = list(_bad_bodies(self._photos[_RIGHT][0]))
        self._enrolled: dict[str, list[str]] = {}
        # Changes come one after the other, so that each has one right answer.
        self._changing = Lock()
        self._fresh = 1000

    def steps(self) -> Iterator[Step]:
        """The next call, and the next."""
        kinds: list[tuple[Callable[[], Step], int]] = [
            (self._verify_right, 30),
            (self._verify_wrong, 20),
            (self._compare, 5),
            (self._detect, 8),
            (self._enroll, 6),
            (self._forget, 6),
            (self._bad_input, 12),
            (self._odd_size, 4),
            (self._look, 8),
            (self._folder, 1),
        ]
        makers, weights = zip(*kinds, strict=True)
        while True:
            yield self._random.choices(makers, weights)[0]()

    def _photo(self, person: str) -> bytes:
        return self._random.choice(self._photos[person])

    def _verify_right(self) -> Step:
        photo = self._photo(_RIGHT)
        return Step("verify right", lambda c: c.verify(photo), _decided("match"))

    def _verify_wrong(self) -> Step:
        photo = self._photo(_WRONG)
        return Step("verify wrong", lambda c: c.verify(photo), _decided("no_match"))

    def _compare(self) -> Step:
        same = self._random.random() < 0.5
        source, target = self._photo(_RIGHT), self._photo(_RIGHT if same else _WRONG)
        photos = [("source", source), ("target", target)]
        return Step(
            "compare",
            lambda c: c.post("/compare", photos),
            _decided("match" if same else "no_match"),
        )

    def _detect(self) -> Step:
        photo = self._photo(_WRONG)
        return Step(
            "detect",
            lambda c: c.post("/detect", [("file", photo)]),
            lambda a: a.status == 200 and len(a.document["faces"]) == 1,
        )

    def _odd_size(self) -> Step:
        large = self._random.random() < 0.5
        photo = self._large if large else self._small
        name = f"verify {'large' if large else 'small'}"
        return Step(name, lambda c: c.verify(photo), _decided("match"))

    def _enroll(self) -> Step:
        subject = f"person-{self._random.randrange(_SUBJECTS)}"
        self._fresh += 1
        photo = variant(_RIGHT, self._fresh, width=320, height=320)

        def send(caller: Caller) -> Answer:
            with self._changing:
                answer = caller.enroll([photo], subject)
                if answer.status == 201:
                    ids = [each["image_id"] for each in answer.document["enrolled"]]
                    self._enrolled.setdefault(subject, []).extend(ids)
                return answer

        return Step("enroll", send, lambda a: a.status == 201)

    def _forget(self) -> Step:
        """Delete a photo, or a person who has only one or is the one in so many to go whole."""
        whole = self._random.randrange(_PATIENCE) == 0

        def send(caller: Caller) -> Answer:
            with self._changing:
                if not self._enrolled:
                    return caller.get("/subjects")
                subject = max(self._enrolled, key=lambda s: len(self._enrolled[s]))
                ids = self._enrolled[subject]
                whole_now = whole or len(ids) == 1
                path = f"/subjects/{subject}" + ("" if whole_now else f"/images/{ids[0]}")
                answer = caller.delete(path)
                if answer.status < 300:
                    self._enrolled[subject] = [] if whole_now else ids[1:]
                    self._enrolled = {s: ids for s, ids in self._enrolled.items() if ids}
                return answer

        return Step("delete", send, lambda a: a.status in {200, 204})

    def _bad_input(self) -> Step:
        name, body, status, code = self._random.choice(self._bad)
        return Step(
            f"bad: {name}",
            lambda c: c.call("POST", "/verify", body, FORM),
            lambda a: (a.status, a.code) == (status, code),
        )

    def _look(self) -> Step:
        path = self._random.choice(["/subjects", "/healthz", "/readyz", "/metrics", "/version"])
        return Step(f"get {path}", lambda c: c.get(path), lambda a: a.status == 200)

    def _folder(self) -> Step:
        """Put a file into the folder by hand, or take it away again."""
        place = self._images / "by-hand" / "photo.jpg"
        if place.exists():
            place.unlink()
        else:
            place.parent.mkdir(exist_ok=True)
            draft = place.with_name(".draft")
            draft.write_bytes(self._photo(_WRONG))
            os.replace(draft, place)  # noqa: PTH105 - as a copying program does it
        return self._look()


def _decided(decision: str) -> Check:
    return lambda answer: answer.status == 200 and answer.document.get("decision") == decision


def _bad_bodies(photo: bytes) -> Iterator[tuple[str, bytes, int, str]]:
    """Name, body, and the status and code of the right answer."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    faceless = cv2.imencode(".jpg", cv2.GaussianBlur(noise, (31, 31), 0))[1].tobytes()
    yield "text", form([("file", b"not a photo")]), 415, "unsupported_media_type"
    yield "gif", form([("file", b"GIF89a" + b"\0" * 40)]), 415, "unsupported_media_type"
    yield "damaged", form([("file", photo[:200] + b"\0" * 500)]), 422, "invalid_image"
    yield "no face", form([("file", faceless)]), 422, "no_face"
    yield "no file", form([], subject="default"), 422, "invalid_request"
    yield "name", form([("file", photo)], subject="../x"), 422, "invalid_request"
    yield "threshold", form([("file", photo)], max_fmr="nan"), 422, "invalid_request"
    yield "field", form([("file", photo)], nonsense="1"), 422, "invalid_request"
    yield "unknown", form([("file", photo)], subject="nobody"), 404, "subject_not_found"
