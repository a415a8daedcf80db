from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.domain.entities import Face, Pixels
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits, decode
from app.inference.detect import Detector

PORTRAITS = Path(__file__).parents[1] / "fixtures" / "portraits"
MIRROR = [1, 0, 2, 4, 3]


def detector(bundle: Bundle, *, mirrored_look: bool) -> Detector:
    section = bundle.manifest.detector
    names = (section.proposal, section.refinement, section.output)
    proposal, refinement, output = (bundle.networks[name] for name in names)
    settings = replace(section.settings(), mirrored_look=mirrored_look)
    return Detector(proposal, refinement, output, settings)


def only_face(found: list[Face]) -> Face:
    (face,) = found
    return face


def asymmetry(detect: Detector, photo: Pixels) -> float:
    """How far landmarks differ between a photo and its mirror image, in eye distances."""
    here = only_face(detect(photo)).landmarks.as_array()
    there = only_face(detect(np.ascontiguousarray(photo[:, ::-1]))).landmarks.as_array()[MIRROR]
    there[:, 0] = photo.shape[1] - there[:, 0]
    eyes = np.linalg.norm(here[1] - here[0])
    return float(np.linalg.norm(here - there, axis=1).mean() / eyes)


def test_a_mirrored_look_makes_landmarks_agree_with_those_of_the_mirror_image(
    bundle: Bundle,
) -> None:
    once, twice = (detector(bundle, mirrored_look=look) for look in (False, True))
    photos = [
        decode(path.read_bytes(), DecodeLimits()).pixels for path in sorted(PORTRAITS.glob("*.jpg"))
    ]
    before = np.mean([asymmetry(once, photo) for photo in photos])
    after = np.mean([asymmetry(twice, photo) for photo in photos])
    assert after < before * 0.7


def test_a_mirrored_look_finds_the_same_faces(bundle: Bundle) -> None:
    photo = decode((PORTRAITS / "astronaut.jpg").read_bytes(), DecodeLimits()).pixels
    once, twice = (only_face(detector(bundle, mirrored_look=m)(photo)) for m in (False, True))
    assert once.box == twice.box
    eyes = once.landmarks.as_array()[1, 0] - once.landmarks.as_array()[0, 0]
    moved = np.abs(once.landmarks.as_array() - twice.landmarks.as_array()).max()
    assert 0 < moved < 0.1 * eyes


@pytest.mark.parametrize("shape", [(5, 5, 3), (300, 8, 3)])
def test_a_photo_too_small_for_any_face_shows_none(bundle: Bundle, shape: tuple[int, ...]) -> None:
    assert detector(bundle, mirrored_look=True)(np.zeros(shape, np.uint8)) == []
