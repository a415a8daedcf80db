"""A short look at damaged photos; `python -m benchmarks.fuzz` is the long one."""

from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.entities import FacePolicy
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits
from app.inference.exif import orientation
from app.inference.image_header import read_header
from app.inference.pipeline import Pipeline
from app.services.photos import UNUSABLE
from benchmarks.fuzz_seeds import seeds
from benchmarks.mutations import mutate, split

SEEDS = seeds()
LIMITS = DecodeLimits(max_pixels=500_000)

quick = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def small(bundle: Bundle) -> Pipeline:
    return Pipeline(bundle, engines=1, limits=LIMITS)


def _damaged(number: int) -> bytes:
    return mutate(SEEDS, Random(number))


@quick
@given(numbers)
def test_a_damaged_photo_is_embedded_or_refused(
    small: Pipeline, bundle: Bundle, number: int
) -> None:
    data = _damaged(number)
    try:
        stored = small.normalize(data)
        template = small.analyze(data, FacePolicy.PROMINENT)
    except UNUSABLE:
        return
    assert stored.startswith(b"\xff\xd8")
    assert np.isfinite(template.embedding).all()
    face = bundle.manifest.embedding.face(template.embedding)
    assert np.linalg.norm(face) == pytest.approx(1, rel=1e-3)
    assert all(np.isfinite(value) for value in template.quality.measures.values())


@quick
@given(numbers)
def test_damage_never_breaks_the_detection_of_all_faces(small: Pipeline, number: int) -> None:
    try:
        found = small.detect(_damaged(number))
    except UNUSABLE:
        return
    assert found.width * found.height <= LIMITS.max_pixels
    for face, _quality in found.faces:
        assert np.isfinite(face.landmarks.as_array()).all()


@quick
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"\x00\x00\x00\x20ftyp"]),
)
def test_any_bytes_have_a_header_or_are_refused(tail: bytes, start: bytes) -> None:
    try:
        header = read_header(start + tail)
    except UNUSABLE:
        return
    assert header.width > 0
    assert header.height > 0


@quick
@given(st.binary(max_size=200), st.sampled_from([b"", b"II", b"MM", b"Exif\x00\x00II*\x00"]))
def test_any_exif_has_an_orientation(tail: bytes, start: bytes) -> None:
    assert 1 <= orientation(start + tail) <= 8


def test_the_damage_is_the_same_each_time() -> None:
    assert [_damaged(i) for i in range(50)] == [_damaged(i) for i in range(50)]


def test_the_parts_of_a_file_are_the_file() -> None:
    for data in SEEDS:
        assert b"".join(split(data)) == data
