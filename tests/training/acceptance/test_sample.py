from dataclasses import replace
from pathlib import Path

import numpy as np

from app.domain.training import Role
from app.training.acceptance.sample import Sample
from app.training.data.examine import Examined
from app.training.data.photos import TrainingPhoto
from app.training.datasets import Side
from tests.training.presets.people import dataset, split

DATA = dataset(owners=5, others=10, each=3)
SPLIT = split(DATA)


def unusable(path: str, person: str, number: int, *reasons: str) -> Examined:
    role = Role.NEGATIVE if person else Role.ANCHOR
    return Examined(
        TrainingPhoto(Path(path), role, person),
        # Its first digits decide the side of a photo of the owner.
        f"{number:08x}" + "0" * 56,
        None,
        None,
        {},
        reasons or ("no_face",),
        0,
    )


def of(*failed: Examined, everybody: bool) -> Sample:
    return Sample.of(DATA, SPLIT, failed, everybody=everybody)


def lost(sample: Sample) -> dict[str, tuple[int, bool]]:
    """Person and side of each photo without a row."""
    return {
        image.path.name: (int(sample.people[i]), bool(sample.tested[i]))
        for i, image in enumerate(sample.images)
        if sample.rows[i] < 0
    }


def test_unusable_photos_of_the_owner_have_their_side_by_their_content() -> None:
    failed = [unusable(f"{n}.jpg", "", n) for n in (0, 24, 25, 39, 40, 99)]
    assert lost(of(*failed, everybody=False)) == {
        "0.jpg": (0, True),
        "24.jpg": (0, True),
        "25.jpg": (0, False),
        "39.jpg": (0, False),
    }


def test_those_of_other_people_count_where_the_bundle_is_for_everybody() -> None:
    sides = dict(zip(DATA.people.tolist(), SPLIT.sides, strict=True))
    tested, validated, trained = (
        next(str(p) for p, side in sides.items() if p and side is wanted)
        for wanted in (Side.TEST, Side.VALIDATION, Side.TRAIN)
    )
    failed = [
        unusable("tested.jpg", tested, 1),
        unusable("blurred.jpg", validated, 2, "TOO_BLURRY"),
        unusable("trained.jpg", trained, 3),
        unusable("nobody.jpg", "nobody", 4),
        unusable("owner.jpg", "", 5),
        unusable("text.jpg", tested, 6, "invalid_image"),
    ]
    sample = of(*failed, failed[0], everybody=True)
    found = lost(sample)
    assert {name: tests for name, (_, tests) in found.items()} == {
        "tested.jpg": True,
        "blurred.jpg": False,
    }
    for name, person in (("tested.jpg", tested), ("blurred.jpg", validated)):
        same = sample.people == found[name][0]
        assert {DATA.photos[row].person for row in sample.rows[same] if row >= 0} == {person}
    assert len(np.unique(sample.groups[sample.rows < 0])) == 2
    assert lost(of(*failed, everybody=False)) == {"owner.jpg": (0, True)}


def test_the_owner_is_left_out_where_the_bundle_is_for_everybody() -> None:
    sample = of(replace(unusable("a.jpg", "", 1)), everybody=True)
    assert sample.owner is None
    assert not lost(sample)
    assert 0 not in DATA.people[sample.rows]
