"""Small face pictures of the hardest errors."""

import base64
from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np

from app.domain.entities import Pixels
from app.domain.errors import TrainingDataError
from app.training.acceptance.hardest import HardError
from app.training.report.findings import Findings

SIDE: Final = 112
"""Pixels of a picture."""

Picture = str | None
"""A `data:` address; None if there is no picture."""


def face_pictures(findings: Findings, errors: Iterable[HardError]) -> dict[int, Picture]:
    """The face on each photo that the errors name, by its row in the sample.

    None where the photo is not in the data set, is gone, or was changed since training.
    """
    rows = {row for error in errors for row in (error.probe, error.reference)}
    return {row: _picture(findings, row) for row in sorted(rows)}


def _picture(findings: Findings, row: int) -> Picture:
    known = int(findings.contest.sample.rows[row])
    if known < 0:
        return None
    # The base aligns every face, also where the new bundle is shown the middle of the photo.
    template = findings.base.manifest.alignment.template()
    try:
        return data_uri(findings.dataset.faces(known, template, 0))
    except TrainingDataError:
        return None


def data_uri(face: Pixels) -> str:
    """An RGB face as a JPEG in an address."""
    small = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    # cv2 counts channels from blue.
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), _QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


_QUALITY: Final = (cv2.IMWRITE_JPEG_QUALITY, 85)
