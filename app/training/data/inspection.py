"""What the photos are good for: a report, and the dataset that is left."""

from collections import Counter
from collections.abc import Mapping, Sequence

from app.domain.training import Role
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits
from app.training.data.crops import CropCache
from app.training.data.dataset import Dataset
from app.training.data.enough import Enough
from app.training.data.examine import Examined
from app.training.data.faces import FaceCutter, KnownFace
from app.training.data.facts import Facts
from app.training.data.likeness import Likeness, likeness
from app.training.data.problems import problems
from app.training.data.remarks import warnings
from app.training.data.report import (
    LISTED,
    DataReport,
    LookAlike,
    Outlier,
    Problem,
    RejectedFile,
    RoleReport,
    SharedPhoto,
)
from app.training.data.rows import Rows, distinct_rows, in_order

__all__ = ["DataReport", "Enough", "Problem", "inspect"]


def inspect(
    examined: Sequence[Examined],
    bundle: Bundle,
    crops: CropCache,
    *,
    owner_needed: bool = True,
    subject: str | None = None,
    left_out: int = 0,
    enough: Enough | None = None,
    limits: DecodeLimits | None = None,
) -> tuple[DataReport, Dataset]:
    """Judge photos; never raises for bad ones, and does not depend on their order.

    Args:
        examined: All photos of the three folders.
        bundle: The active one, which examined them.
        crops: Where the faces of the dataset come from.
        owner_needed: Whether the preset needs `anchor` and `positive`; `compact` does not, but
            needs people with two photos and more in `negative`.
        subject: Key of the subject that the owner is, if the bundle is calibrated about someone.
        left_out: Photos that lie in no folder of the owner's, while the owner has folders.
        enough: How many photos and people it takes.
        limits: What is accepted for decoding.
    """
    photos = in_order(examined)
    rows = distinct_rows(photos, bundle)
    alike = likeness(
        rows.embeddings(),
        rows.owner,
        rows.others,
        rows.groups,
        bundle.manifest.decider(bundle.calibration).about(subject),
    )
    groups = rows.group_of
    facts = Facts(
        {role: _role_report(role, photos, groups) for role in Role},
        photos,
        rows,
        alike,
        enough or Enough(),
        owner_needed=owner_needed,
        left_out=left_out,
    )
    report = DataReport(
        model=bundle.manifest.version,
        roles=dict(facts.roles),
        people=facts.people,
        people_with_two=facts.people_with_two,
        owner_groups=facts.owner_groups,
        rejected_files=[
            RejectedFile(file=e.photo.name, reasons=list(e.reasons)) for e in photos if not e.usable
        ][:LISTED],
        in_two_roles=[
            SharedPhoto(files=(one.photo.name, other.photo.name)) for one, other in rows.copied
        ][:LISTED],
        owner_lookalikes=_look_alikes(rows, alike)[:LISTED],
        outliers=[
            Outlier(file=rows.photos[row].photo.name, matched=round(share, 3))
            for row, share in alike.outliers
        ][:LISTED],
        joined_people=[list(names) for names in rows.joined][:LISTED],
        problems=problems(facts),
        warnings=warnings(facts),
    )
    return report, _dataset(rows, FaceCutter(crops, bundle, limits or DecodeLimits()))


def _role_report(role: Role, photos: Sequence[Examined], groups: Mapping[str, int]) -> RoleReport:
    own = [e for e in photos if e.photo.role is role]
    contents = Counter(e.sha256 for e in own if e.sha256)
    # A content that is in two roles counts in both.
    distinct = {e.sha256 for e in own if e.sha256 in groups}
    count = len({groups[sha256] for sha256 in distinct})
    return RoleReport(
        images=len(own),
        faces_found=sum(e.faces > 0 for e in own),
        usable=sum(e.usable for e in own),
        rejected=dict(sorted(Counter(code for e in own for code in e.reasons).items())),
        duplicates=contents.total() - len(contents),
        near_duplicates=len(distinct) - count,
        groups=count,
    )


def _look_alikes(rows: Rows, alike: Likeness) -> list[LookAlike]:
    found = [(pair, True) for pair in alike.certain] + [(pair, False) for pair in alike.suspect]
    return [
        LookAlike(
            file=rows.photos[row].photo.name,
            person=rows.photos[row].photo.person,
            score=round(score, 4),
            certain=certain,
        )
        for (row, score), certain in found
    ]


def _dataset(rows: Rows, cutter: FaceCutter) -> Dataset:
    known: list[KnownFace] = [photo.face for photo in rows.photos if photo.face is not None]
    return Dataset(
        photos=tuple(photo.photo for photo in rows.photos),
        sha256=tuple(photo.sha256 for photo in rows.photos),
        people=rows.people,
        groups=rows.groups,
        embeddings=rows.embeddings(),
        faces=lambda row, template, margin: cutter.wide(known[row], template, margin),
        central=lambda row, size: cutter.central(known[row], size),
    )
