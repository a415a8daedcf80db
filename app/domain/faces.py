"""Which of several faces is meant."""

from collections.abc import Callable, Sequence
from typing import Final

from app.domain.entities import Face, FacePolicy
from app.domain.errors import MultipleFacesError, NoFaceError


def choose_face(faces: Sequence[Face], policy: FacePolicy, width: float, height: float) -> Face:
    """Pick the face that `policy` means in a photo of `width` x `height` pixels.

    Raises:
        NoFaceError: If there is none.
        MultipleFacesError: If there are several under the policy `single`.
    """
    if not faces:
        raise NoFaceError("No face was found in the photo.")
    if policy is FacePolicy.SINGLE:
        if len(faces) > 1:
            raise MultipleFacesError(
                f"The photo shows {len(faces)} faces; exactly one is expected.", faces=len(faces)
            )
        return faces[0]
    rank = _RANKS[policy]
    return max(faces, key=lambda face: rank(face, width, height))


def _offset(face: Face, width: float, height: float) -> float:
    """Distance of the face's centre from the photo's, in halves of the photo's diagonal."""
    dx = face.box.x + face.box.width / 2 - width / 2
    dy = face.box.y + face.box.height / 2 - height / 2
    return float(2 * (dx * dx + dy * dy) ** 0.5 / (width * width + height * height) ** 0.5)


_RANKS: Final[dict[FacePolicy, Callable[[Face, float, float], float]]] = {
    FacePolicy.PROMINENT: lambda face, w, h: face.box.area * (1 - min(1.0, _offset(face, w, h))),
    FacePolicy.LARGEST: lambda face, _w, _h: face.box.area,
    FacePolicy.CENTRAL: lambda face, w, h: -_offset(face, w, h),
}
