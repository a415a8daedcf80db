"""Where a face lies on the crops of presets that train from scratch."""

import numpy as np

from app.inference.align import AlignmentTemplate


def whole_face(base: AlignmentTemplate, size: int) -> AlignmentTemplate:
    """A template that shows the face from the hairline to the chin, as the seed tutorial's crop.

    From the eyes it is about 1.2 times their distance to the hairline and 1.9 times to the chin,
    so the eyes lie 30 % of the side apart, 40 % below the upper edge.

    Args:
        base: Gives the shape of the five points: that of the median face to this detector.
        size: Side of the crop.
    """
    return placed(base, size, eye_distance=0.30, eye_height=0.40)


def arcface_crop(base: AlignmentTemplate, size: int) -> AlignmentTemplate:
    """A template with the eyes where ArcFace's crop of 112 pixels has them: tighter, lower."""
    return placed(base, size, eye_distance=35.2 / 112, eye_height=51.6 / 112)


def placed(
    base: AlignmentTemplate, size: int, *, eye_distance: float, eye_height: float
) -> AlignmentTemplate:
    """The shape of `base`, moved and scaled.

    Args:
        base: Whose shape it is.
        size: Side of the crop.
        eye_distance: From eye to eye, as a share of the side.
        eye_height: From the upper edge to the eyes, as a share of the side.
    """
    left, right = base.points[0], base.points[1]
    scale = eye_distance * size / float(np.linalg.norm(right - left))
    # Points count from the centre of the first pixel.
    middle = np.array([(size - 1) / 2, eye_height * size - 0.5], np.float32)
    points = (base.points - (left + right) / 2) * np.float32(scale) + middle
    return AlignmentTemplate(size, points.astype(np.float32))
