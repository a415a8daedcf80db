"""Faces, quality and reasons as JSON columns, and vectors as bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from app.domain.entities import Box, Face, Floats, Landmarks, Quality, Reason, ReasonCode


def face_to_json(face: Face) -> dict[str, Any]:
    """A face as a JSON object with the names of its fields."""
    return asdict(face)


def face_from_json(value: Mapping[str, Any]) -> Face:
    """The inverse of `face_to_json`."""
    points = {name: (point[0], point[1]) for name, point in value["landmarks"].items()}
    return Face(Box(**value["box"]), Landmarks(**points), value["score"])


def quality_to_json(quality: Quality) -> dict[str, Any]:
    """Measures and reasons as a JSON object."""
    return {"measures": dict(quality.measures), "reasons": reasons_to_json(quality.reasons)}


def quality_from_json(value: Mapping[str, Any]) -> Quality:
    """The inverse of `quality_to_json`."""
    return Quality(value["measures"], reasons_from_json(value["reasons"]))


def reasons_to_json(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """Reasons as JSON objects with the names of their fields."""
    return [asdict(reason) for reason in reasons]


def reasons_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
    """The inverse of `reasons_to_json`."""
    return tuple(Reason(**{**value, "code": ReasonCode(value["code"])}) for value in values)


def vector_to_bytes(vector: Floats) -> bytes:
    """Little-endian float32, whatever the machine."""
    return np.asarray(vector, "<f4").tobytes()


def vector_from_bytes(data: bytes) -> Floats:
    """The inverse of `vector_to_bytes`; the array is read-only."""
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)
