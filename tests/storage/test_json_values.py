import json

import numpy as np

from app.domain.entities import Box, Face, Landmarks, Quality, Reason, ReasonCode
from app.storage.json_values import (
    face_from_json,
    face_to_json,
    quality_from_json,
    quality_to_json,
    vector_from_bytes,
    vector_to_bytes,
)

FACE = Face(Box(1.5, -2, 30, 40), Landmarks((1, 2), (3, 4), (5, 6), (7, 8), (9, 10.25)), 0.999)
QUALITY = Quality(
    {"sharpness": 12.5},
    (
        Reason(ReasonCode.TOO_BLURRY, "Hold still.", 12.5, 30),
        Reason(ReasonCode.OUTLIER, "Look again.", blocking=False),
    ),
)


def test_a_face_survives_json() -> None:
    assert face_from_json(json.loads(json.dumps(face_to_json(FACE)))) == FACE


def test_quality_survives_json() -> None:
    again = quality_from_json(json.loads(json.dumps(quality_to_json(QUALITY))))
    assert again == QUALITY
    assert [r.code for r in again.reasons] == [ReasonCode.TOO_BLURRY, ReasonCode.OUTLIER]


def test_a_vector_survives_as_bytes() -> None:
    vector = np.linspace(-1, 1, 7, dtype=np.float32)
    again = vector_from_bytes(vector_to_bytes(vector))
    assert again.dtype == np.float32
    assert again.tolist() == vector.tolist()
    assert vector_to_bytes(np.array([1.0], np.float32)) == b"\x00\x00\x80\x3f"
