"""Measurements on a face; `domain.quality` turns them into reasons."""

from typing import Final

import cv2
import numpy as np

from app.domain.entities import Face, Floats, Pixels
from app.inference.align import AlignmentTemplate, similarity

_MODEL: Final = np.array(
    [[-0.5, 0, 0], [0.5, 0, 0], [0, 0.615, 0.42], [-0.438, 1.043, 0.1], [0.438, 1.043, 0.1]]
)
"""A generic head: landmarks in units of the distance between the eyes, x right, y down, z out.

x and y are the median face of CelebA's training identities, so that its pose counts as frontal.
"""

_GRID: Final = 12


def measure(
    pixels: Pixels, chip: Pixels, face: Face, template: AlignmentTemplate
) -> dict[str, float]:
    """All measures of one face, named and with units as `domain.quality.RULES` documents.

    Args:
        pixels: The photo, shape (h, w, 3), RGB.
        chip: The aligned face.
        face: In pixels of `pixels`.
        template: What `chip` was aligned to.
    """
    points = face.landmarks.as_array()
    gray = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    margin = template.size // 6
    centre = gray[margin:-margin, margin:-margin].astype(np.float32)
    yaw, pitch, roll = head_pose(points)
    return {
        "eye_distance": float(np.linalg.norm(points[1] - points[0])),
        "sharpness": float(cv2.Laplacian(centre, cv2.CV_32F).var()),
        "brightness": float(centre.mean()),
        "contrast": float(centre.std()),
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "pose": max(abs(yaw), abs(pitch), abs(roll)),
        "inside": _share_inside(pixels, points, template),
        "detection_score": face.score,
    }


def head_pose(points: Floats) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees from five landmarks, shape (5, 2).

    Scaled orthography fitted by least squares (DeMenthon and Davis, "Model-based object pose in 25
    lines of code", 1995, without the iteration). Yaw is positive when the nose points to the
    viewer's right, pitch when it points down, roll when the head is turned clockwise.
    """
    model = _MODEL - _MODEL.mean(axis=0)
    image = points.astype(np.float64) - points.mean(axis=0)
    axes = np.linalg.lstsq(model, image, rcond=None)[0].T
    left, _scales, right = np.linalg.svd(axes, full_matrices=False)
    across, down = left @ right  # the nearest pair of axes at right angles
    towards = np.cross(across, down)
    yaw = np.arctan2(-towards[0], towards[2])
    pitch = np.arcsin(np.clip(-towards[1], -1, 1))
    roll = np.arctan2(-across[1], down[1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def _share_inside(pixels: Pixels, points: Floats, template: AlignmentTemplate) -> float:
    """Share of the aligned face's area that lies inside the photo."""
    ticks = (np.arange(_GRID) + 0.5) / _GRID * template.size
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    back = similarity(template.points, points)
    x, y = back[:, :2] @ grid.T + back[:, 2:]
    height, width = pixels.shape[:2]
    return float(((x >= 0) & (x < width) & (y >= 0) & (y < height)).mean())
