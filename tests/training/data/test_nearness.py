import cv2
import numpy as np
import pytest

from app.domain.entities import FacePolicy, Pixels
from app.inference.decode import Photo
from app.inference.pipeline import Pipeline
from app.training.data.hashes import (
    FACE_ALIKE,
    FACE_NEAR,
    NEIGHBOURING_FACES,
    SCENE_NEAR,
    as_words,
    distances,
    face_hash,
    scene_hash,
)
from app.training.data.nearness import Groups, copies, frames
from tests.pictures import encode
from tests.training.data.folders import portrait
from tests.training.data.seen import flipped, looking, seen, some_hash


def distance(one: int, other: int) -> int:
    return int(distances(as_words([one])[0], as_words([other]))[0])


def test_a_distance_counts_the_bits_that_differ() -> None:
    value = some_hash("x")
    found = distances(as_words([value])[0], as_words([value, flipped(value, 7), ~value % 2**256]))
    assert found.tolist() == [0, 7, 256]


def test_groups_are_named_by_their_least_number() -> None:
    groups = Groups(6)
    for one, other in ((4, 2), (5, 4), (0, 3)):
        groups.join(one, other)
    assert groups.labels().tolist() == [0, 1, 2, 0, 2, 2]


def hashes_of(pipeline: Pipeline, data: bytes) -> tuple[int, int]:
    found: list[tuple[int, int]] = []

    def witness(photo: Photo, face: object) -> None:
        points = face.landmarks.as_array()  # type: ignore[attr-defined]
        found.append((face_hash(photo.pixels, points), scene_hash(photo.pixels)))

    pipeline.analyze(data, FacePolicy.PROMINENT, witness)
    return found[0]


def resized(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def jpeg(pixels: Pixels, quality: int) -> bytes:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


@pytest.mark.parametrize("person", ["astronaut", "hopper"])
def test_copies_of_a_real_photo_are_near_and_another_photo_is_not(
    pipeline: Pipeline, person: str
) -> None:
    pixels = portrait(person)
    height, width = pixels.shape[:2]
    face, scene = hashes_of(pipeline, encode(pixels))
    versions = {
        "other kind": encode(pixels, ".png"),
        "re-encoded": jpeg(pixels, 50),
        "small": encode(resized(pixels, 0.6)),
        "large": encode(resized(pixels, 2)),
        "cropped": encode(pixels[height // 20 :, : -width // 15]),
        "darker": encode((pixels * 0.85).astype(np.uint8)),
    }
    for name, data in versions.items():
        own_face, own_scene = hashes_of(pipeline, data)
        near = distance(face, own_face) <= FACE_NEAR or distance(scene, own_scene) <= SCENE_NEAR
        assert near, name
    other = hashes_of(
        pipeline, encode(portrait("hopper" if person == "astronaut" else "astronaut"))
    )
    assert distance(face, other[0]) > FACE_ALIKE
    assert distance(scene, other[1]) > SCENE_NEAR


def test_copies_are_near_by_face_or_by_scene() -> None:
    photos = [
        seen("anchor/a.jpg"),
        seen("anchor/b.jpg", near=("anchor/a.jpg", FACE_NEAR)),
        seen("anchor/c.jpg", near=("anchor/a.jpg", FACE_NEAR + 1), embedding=looking("c")),
        seen("anchor/d.jpg"),
    ]
    object.__setattr__(photos[3], "scene_hash", flipped(photos[0].scene_hash or 0, SCENE_NEAR))
    assert set(copies(photos, None)) == {(0, 1), (0, 3), (1, 2)}


def test_faces_that_are_hardly_near_count_if_they_also_look_the_same() -> None:
    photos = [
        seen("anchor/a.jpg", embedding=looking("owner", 1.0)),
        seen("anchor/b.jpg", near=("anchor/a.jpg", 70), embedding=looking("owner", 0.99)),
        seen("anchor/c.jpg", near=("anchor/a.jpg", 90), embedding=looking("owner", 0.999)),
    ]
    faces = np.stack([p.embedding[:-1] for p in photos if p.embedding is not None])
    assert set(copies(photos[:2], faces[:2])) == {(0, 1)}
    assert set(copies(photos[:2], None)) == set()
    assert (0, 2) not in set(copies(photos, faces))


@pytest.mark.parametrize(
    ("second", "pause", "bits", "joined"),
    [
        ("anchor/b.jpg", 2.0, NEIGHBOURING_FACES, True),
        ("anchor/b.jpg", 2.0, NEIGHBOURING_FACES + 1, False),
        ("anchor/b.jpg", 9.0, NEIGHBOURING_FACES, False),
        ("anchor/other/b.jpg", 2.0, NEIGHBOURING_FACES, False),
        ("anchor/a_2.jpg", 99.0, NEIGHBOURING_FACES, True),
        ("anchor/a_3.jpg", 99.0, NEIGHBOURING_FACES, False),
        ("positive/b.jpg", 2.0, NEIGHBOURING_FACES, True),
        ("positive/b.jpg", 9.0, NEIGHBOURING_FACES, False),
        ("positive/other/b.jpg", 2.0, NEIGHBOURING_FACES, False),
        ("positive/a_2.jpg", 99.0, NEIGHBOURING_FACES, False),
    ],
)
def test_frames_are_neighbours_in_time_or_number_that_are_much_alike(
    second: str, pause: float, bits: int, joined: bool
) -> None:
    first = seen("anchor/a_1.jpg", at=1000)
    other = seen(second, near=("anchor/a_1.jpg", bits), at=1000 + pause)
    assert bool(list(frames([first, other]))) is joined


def test_photos_of_one_time_are_neighbours_of_the_next_ones_only() -> None:
    """Unpacked from an archive all files may bear one time: chance must not chain them."""
    photos = [
        seen("anchor/a.jpg", at=5),
        seen("anchor/b.jpg", at=5),
        seen("anchor/c.jpg", near=("anchor/a.jpg", NEIGHBOURING_FACES), at=5),
    ]
    assert list(frames(photos)) == []
