"""What is worth knowing about photos, and does not void the result."""

from collections.abc import Iterator

import numpy as np

from app.training.data.facts import Facts, counted
from app.training.data.report import Problem

_FEW = 6
"""Photos of a folder; among fewer, one burst says little."""


def warnings(facts: Facts) -> list[Problem]:
    """What is worth knowing, and does not void the result."""
    return [
        *_left_out(facts),
        *_rejected(facts),
        *_duplicates(facts),
        *_bursts(facts),
        *_few(facts),
        *_suspects(facts),
        *_joined(facts),
    ]


def _left_out(facts: Facts) -> Iterator[Problem]:
    if facts.left_out:
        yield Problem(
            code="photos_left_out",
            message=f"{facts.left_out} photos that lie right in anchor/ and positive/ are left "
            "out, since there is a folder of the subject's name. Move those that show the subject "
            "into it.",
        )


def _rejected(facts: Facts) -> Iterator[Problem]:
    for role, report in facts.roles.items():
        unusable = report.images - report.usable
        if unusable > facts.enough.rejected_share * report.images:
            reasons = ", ".join(f"{count} {code}" for code, count in report.rejected.items())
            yield Problem(
                code="many_rejected",
                message=f"{unusable} of {report.images} files in {role.value}/ can't be used: "
                f"{reasons}. They are left out; see the list of rejected files.",
            )


def _duplicates(facts: Facts) -> Iterator[Problem]:
    for role, report in facts.roles.items():
        if report.duplicates:
            yield Problem(
                code="duplicates",
                message=f"{report.duplicates} of {report.images} files in {role.value}/ have the "
                "content of another one there. Each content counts once.",
            )
    shared = facts.shared_by_own_roles
    if shared:
        yield Problem(
            code="in_two_roles",
            message="Photos in positive/ that are in anchor/ too, as files or copies: "
            f"{counted(positive.photo.name for _anchor, positive in shared)}. Each counts once, "
            "and stays on one side of the split.",
        )


def _bursts(facts: Facts) -> Iterator[Problem]:
    for role, report in facts.roles.items():
        own = [i for i, e in enumerate(facts.rows.photos) if e.photo.role is role]
        if len(own) < _FEW:
            continue
        largest = int(np.bincount(facts.rows.groups[own]).max())
        if largest > facts.enough.burst_share * len(own):
            yield Problem(
                code="one_burst",
                message=f"{largest} of {len(own)} photos in {role.value}/ are copies or frames of "
                f"one moment; they count once ({report.groups} distinct photos). Add photos of "
                "other days, places and light.",
            )


def _few(facts: Facts) -> Iterator[Problem]:
    enough = facts.enough
    if facts.owner_needed and enough.owner_photos <= facts.owner_groups < enough.good_owner_photos:
        yield Problem(
            code="few_owner_photos",
            message=f"There are {facts.owner_groups} distinct photos of the owner. With fewer than "
            f"{enough.good_owner_photos}, error rates will have wide intervals, and a better model "
            "can hardly be told from luck.",
        )
    if enough.people <= facts.people < enough.good_people:
        yield Problem(
            code="few_people",
            message=f"negative/ shows {facts.people} people. With fewer than {enough.good_people}, "
            "strict false match rates can't be stated for the new model. Public sets of faces, "
            "LFW for example, have thousands.",
        )


def _suspects(facts: Facts) -> Iterator[Problem]:
    suspect, outliers = facts.alike.suspect, facts.outliers
    if suspect:
        files = [facts.rows.photos[row].photo.name for row, _score in suspect]
        yield Problem(
            code="owner_lookalikes",
            message="Photos in negative/ that look much like the owner: "
            f"{counted(files)}. Delete those that show the owner.",
        )
    if outliers and not facts.several_owners:
        yield Problem(
            code="outliers",
            message="Photos in anchor/ and positive/ that don't look like most of the others: "
            f"{counted(outliers)}. Delete those that show another person.",
        )
    if not facts.alike.judged:
        yield Problem(
            code="likeness_unknown",
            message="The active model prices no false match rate at which it knows this subject, "
            "so nobody looked for the owner among the negatives, or for others among the owner's "
            "photos. Look yourself, or activate another model.",
        )


def _joined(facts: Facts) -> Iterator[Problem]:
    if facts.rows.joined:
        equal = counted(" = ".join(names) for names in facts.rows.joined)
        yield Problem(
            code="people_joined",
            message=f"People in negative/ that share a photo are taken for one person: {equal}. "
            "Delete the photo where it does not belong.",
        )
