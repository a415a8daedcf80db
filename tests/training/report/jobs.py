"""A finished job of synthetic people, with file names that try to break out of the page."""

from pathlib import Path
from typing import Any

import numpy as np

from app.domain.calibration import Calibration, OperatingPoint
from app.domain.entities import Pixels
from app.domain.errors import TrainingDataError
from app.domain.scoring import L1Head
from app.domain.training import Judgement, Role, TrainingOptions
from app.inference.align import AlignmentTemplate
from app.inference.bundle import Bundle
from app.training.acceptance.comparison import compare
from app.training.acceptance.gate import judge
from app.training.acceptance.regression import RegressionResult
from app.training.acceptance.sample import Sample
from app.training.data.dataset import Dataset
from app.training.data.photos import TrainingPhoto
from app.training.data.report import (
    DataReport,
    LookAlike,
    Outlier,
    Problem,
    RejectedFile,
    RoleReport,
    SharedPhoto,
)
from app.training.data.split import make_split
from app.training.datasets import LabelledImage, Side
from app.training.job.memory import Decision
from app.training.metrics import Interval
from app.training.presets.trained import EpochRecord, Trained
from app.training.report.findings import Findings
from tests.training.acceptance.scenes import contest

HOSTILE = "<script>alert('1')</script>&\"x\".jpg"
OPTIONS = TrainingOptions(subject="ann", seed=3)


def face(row: int) -> Pixels:
    """A flat colour of its own for each photo."""
    return np.full((150, 150, 3), (row % 256, 90, 200), np.uint8)


def dataset(owner: int, strangers: int, *, gone: frozenset[int] = frozenset()) -> Dataset:
    """Photos that are each a group of their own; those of `gone` can't be read any more."""

    def faces(row: int, template: AlignmentTemplate, margin: int) -> Pixels:
        if row in gone:
            raise TrainingDataError("gone", problems=[])
        return face(row)

    people = np.concatenate([np.zeros(owner), np.arange(strangers) + 1]).astype(np.intp)
    photos = tuple(
        TrainingPhoto(
            Path(f"{row}.jpg"),
            Role.NEGATIVE if person else Role.ANCHOR,
            f"{HOSTILE}{row}" if person else "",
            f"{'negative' if person else 'anchor'}/{row}-{HOSTILE}",
        )
        for row, person in enumerate(people)
    )
    return Dataset(
        photos=photos,
        sha256=tuple(f"{row:064x}" for row in range(len(photos))),
        people=people,
        groups=np.arange(len(photos)),
        embeddings=np.zeros((len(photos), 4), np.float32),
        faces=faces,
        central=lambda row, size: face(row),
    )


def data_report(**changed: Any) -> DataReport:
    """A report on photos in which everything is wrong that can be."""
    role = RoleReport(
        images=9,
        faces_found=8,
        usable=7,
        rejected={"no_face": 1, "TOO_DARK": 1},
        duplicates=1,
        near_duplicates=2,
        groups=4,
    )
    values: dict[str, Any] = {
        "model": "default-2",
        "roles": dict.fromkeys(Role, role),
        "people": 30,
        "people_with_two": 12,
        "owner_groups": 8,
        "rejected_files": [RejectedFile(file=f"anchor/{HOSTILE}", reasons=["no_face"])],
        "in_two_roles": [SharedPhoto(files=("anchor/a.jpg", "negative/b.jpg"))],
        "owner_lookalikes": [
            LookAlike(file="negative/eve/1.jpg", person=HOSTILE, score=0.91, certain=True)
        ],
        "outliers": [Outlier(file="positive/odd.jpg", matched=0.125)],
        "joined_people": [["eve", HOSTILE]],
        "problems": [],
        "warnings": [Problem(code="few_people", message="Add more people to data/negative.")],
    }
    return DataReport(**(values | changed))


def point(target: float, threshold: float) -> OperatingPoint:
    return OperatingPoint(target, threshold, target, (0, 2 * target), 0.02, (0.01, 0.04), 40, 20)


def findings(
    base: Bundle,
    *,
    owner: int = 60,
    strangers: int = 400,
    gone: frozenset[int] = frozenset(),
    **changed: Any,
) -> Findings:
    """The new bundle is much better for the owner."""
    photos = dataset(owner, strangers, gone=gone)
    split = make_split(photos, OPTIONS.seed)
    tested = split.rows(Side.TEST)
    sample = Sample(
        images=tuple(LabelledImage(photos.photos[row].path, "") for row in tested),
        rows=tested,
        people=np.unique(photos.people[tested], return_inverse=True)[1].astype(np.intp),
        groups=photos.groups[tested],
        tested=np.ones(len(tested), np.bool_),
        owner=0,
    )
    both = contest(sample, 0.6, 1.4, seed=1)
    gate = judge(both, max_fmr=0.1, seed=OPTIONS.seed, rounds=100)
    values: dict[str, Any] = {
        "version": "finetune-1",
        "base": base,
        "options": OPTIONS,
        "trained": trained(),
        "dataset": photos,
        "split": split,
        "data": data_report(),
        "contest": both,
        "comparison": compare(both, max_fmr=0.1, seed=OPTIONS.seed),
        "gate": gate,
        "regressions": (lost_nothing(),),
        "decision": Decision(Judgement.BETTER, True, ("Fewer of the owner's photos fail.",)),
        "calibration": Calibration(
            {"1": (point(0.1, 0.2), point(0.01, 0.31))}, "ann", {"1": (point(0.1, 0.25),)}
        ),
        "seconds": 90.0,
    }
    return Findings(**(values | changed))


def lost_nothing() -> RegressionResult:
    return RegressionResult(
        name="enrolled subjects",
        people=3,
        photos=9,
        references=2,
        target_fmr=0.05,
        candidate=Interval(0.1, 0.05, 0.2),
        active=Interval(0.1, 0.05, 0.2),
        difference=Interval(0.0, -0.05, 0.05),
        lost=False,
        sentence="Nothing is lost for enrolled subjects.",
    )


def trained(history: int = 3) -> Trained:
    return Trained(
        model=None,
        template=AlignmentTemplate(150, np.zeros((5, 2), np.float32)),
        central=False,
        mean=(0.0, 0.0, 0.0),
        scale=1.0,
        mirror=True,
        unit_length=True,
        head=L1Head(np.ones(4, np.float32), 1.0),
        history=tuple(
            EpochRecord(epoch, 1 / epoch, 2 / epoch, 0.9, 1e-4, 2.5)
            for epoch in range(1, history + 1)
        ),
        config={"rate": 1e-4, "jitter": {"scale": [0.9, 1.1]}, "validation": f"as {HOSTILE}"},
        architecture="resnet29",
    )
