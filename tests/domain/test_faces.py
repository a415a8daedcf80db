import pytest

from app.domain.entities import Box, Face, FacePolicy, Landmarks
from app.domain.errors import MultipleFacesError, NoFaceError
from app.domain.faces import choose_face

NOWHERE = Landmarks((0, 0), (0, 0), (0, 0), (0, 0), (0, 0))


def face(x: float, y: float, side: float) -> Face:
    return Face(Box(x - side / 2, y - side / 2, side, side), NOWHERE, 0.9)


CORNER = face(60, 60, 120)
MIDDLE = face(320, 240, 60)
BESIDE = face(400, 240, 110)
ALL = [CORNER, MIDDLE, BESIDE]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (FacePolicy.LARGEST, CORNER),
        (FacePolicy.CENTRAL, MIDDLE),
        (FacePolicy.PROMINENT, BESIDE),
    ],
)
def test_each_policy_means_another_face(policy: FacePolicy, expected: Face) -> None:
    assert choose_face(ALL, policy, 640, 480) is expected


def test_single_takes_the_only_face_and_refuses_two() -> None:
    assert choose_face([CORNER], FacePolicy.SINGLE, 640, 480) is CORNER
    with pytest.raises(MultipleFacesError) as caught:
        choose_face(ALL, FacePolicy.SINGLE, 640, 480)
    assert caught.value.extra["faces"] == 3


@pytest.mark.parametrize("policy", list(FacePolicy))
def test_no_face_is_an_error_under_every_policy(policy: FacePolicy) -> None:
    with pytest.raises(NoFaceError):
        choose_face([], policy, 640, 480)
