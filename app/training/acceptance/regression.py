"""What a new bundle loses for people other than the one it was trained for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from app.domain.entities import FaceTemplate
from app.domain.ports import FacePipeline
from app.domain.subjects import subject_key
from app.domain.training import EnrolledPhoto, Monitor
from app.training.acceptance.contest import Contest
from app.training.acceptance.paired import (
    PairedResult,
    backed_target,
    compare_at,
    resamples_photos,
)
from app.training.acceptance.sample import Flags, Indices, Sample
from app.training.acceptance.trials import left_out_plan
from app.training.acceptance.words import percent, points, price
from app.training.data.photos import TrainingPhoto
from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet, collect, try_photo
from app.training.metrics import Interval

REFERENCES: Final = 3
MOST_ENROLLED: Final = 1_000
"""Photos of enrolled subjects that are looked at."""

STRANGERS: Final = "other people of the test side"
ENROLLED: Final = "enrolled subjects"


class RegressionResult(BaseModel):
    """FNMR of both bundles at the same FMR for people that the new one was not made for.

    Attributes:
        name: Who they are: `STRANGERS` or `ENROLLED`.
        people: How many have two photos and more.
        photos: That were tried.
        references: Of a gallery, at most.
        target_fmr: At which the bundles were compared; None if they could not be.
        candidate: FNMR of the new bundle.
        active: FNMR of the active one.
        difference: The former less the latter.
        lost: Whether the new bundle turns more of them away, and not by chance.
        sentence: All this for people.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    people: int
    photos: int
    references: int
    target_fmr: float | None
    candidate: Interval | None
    active: Interval | None
    difference: Interval | None
    lost: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """References of enrolled subjects, embedded by both bundles.

    Attributes:
        subjects: Key of the subject of each photo.
        candidate: As the new bundle embeds them.
        active: As the active one does.
        own: How many references the owner has, who is not among them.
    """

    subjects: tuple[str, ...]
    candidate: EmbeddingSet
    active: EmbeddingSet
    own: int = 0


def embed_enrolled(
    photos: Iterable[EnrolledPhoto],
    candidate: FacePipeline,
    active: FacePipeline,
    monitor: Monitor,
    *,
    owner: str | None,
    most: int = MOST_ENROLLED,
) -> Enrolled:
    """Send enrolled photos through both pipelines, one photo in memory at a time.

    Args:
        photos: Subject by subject.
        candidate: Of the new bundle.
        active: Of the active one.
        monitor: Told how far it is; what it raises passes through.
        owner: Key of the subject that the bundle is for; its photos are only counted.
        most: After so many photos no other subject is begun.
    """
    images: list[LabelledImage] = []
    found: tuple[list[FaceTemplate | str], list[FaceTemplate | str]] = [], []
    own, enough = 0, False
    for photo in photos:
        key = subject_key(photo.subject)
        enough = enough or (len(images) >= most and key != images[-1].identity)
        if key == owner:
            own += 1
        elif not enough:
            images.append(LabelledImage(Path(f"enrolled-{len(images)}"), key))
            for results, pipeline in zip(found, (candidate, active), strict=True):
                results.append(try_photo(pipeline, photo.data, photo.policy))
            monitor.progress(len(images), max(len(images), most), what="enrolled photos")
        elif own or owner is None:
            break
    if enough:
        monitor.log(f"Of the enrolled photos {len(images):,} were looked at.")
    subjects = tuple(image.identity for image in images)
    return Enrolled(subjects, collect(images, found[0]), collect(images, found[1]), own)


def namesakes(
    sample: Sample, photos: Sequence[TrainingPhoto], enrolled: Enrolled
) -> frozenset[int]:
    """Numbers of the people in a sample whose folder has the name of an enrolled subject.

    Args:
        sample: Whose numbers these are.
        photos: Of the dataset that the sample was taken from.
        enrolled: References of the gallery.
    """
    keys = set(enrolled.subjects)
    return frozenset(
        int(person)
        for person, row in zip(sample.people, sample.rows, strict=True)
        if row >= 0 and photos[row].person.casefold() in keys
    )


def regressions(
    contest: Contest,
    enrolled: Enrolled,
    *,
    max_fmr: float,
    seed: int,
    same: frozenset[int] = frozenset(),
) -> tuple[RegressionResult, ...]:
    """Hold both bundles against each other on everyone but the owner.

    Args:
        contest: On the test side.
        enrolled: References of the gallery.
        same: People of the test side who are enrolled too; they are no strangers to the gallery.
        max_fmr: FACETWIN_MAX_FMR.
        seed: Of galleries and bootstrap.
    """
    strangers = _strangers(contest)
    joined, subjects = _with_enrolled(_without(strangers, same), enrolled)
    people = np.unique(strangers.sample.people)
    return (
        _compared(STRANGERS, strangers, people, max_fmr=max_fmr, seed=seed),
        _compared(ENROLLED, joined, subjects, max_fmr=max_fmr, seed=seed),
    )


def _strangers(contest: Contest) -> Contest:
    return _kept(contest, contest.sample.strangers)


def _without(contest: Contest, people: frozenset[int]) -> Contest:
    return _kept(contest, ~np.isin(contest.sample.people, list(people)))


def _kept(contest: Contest, kept: Flags) -> Contest:
    sample = replace(contest.sample.subset(np.flatnonzero(kept)), owner=None)
    return Contest(sample, contest.candidate.subset(kept), contest.active.subset(kept))


def _with_enrolled(strangers: Contest, enrolled: Enrolled) -> tuple[Contest, Indices]:
    """Strangers and enrolled people in one contest; the numbers of the latter."""
    sample = strangers.sample
    count = len(enrolled.subjects)
    _, numbers = np.unique(enrolled.subjects, return_inverse=True)
    numbers = numbers.astype(np.intp) + int(sample.people.max(initial=-1)) + 1
    groups = np.arange(count, dtype=np.intp) + int(sample.groups.max(initial=-1)) + 1
    joined = Sample(
        images=(*sample.images, *enrolled.candidate.images),
        rows=np.concatenate([sample.rows, np.full(count, -1)]),
        people=np.concatenate([sample.people, numbers]),
        groups=np.concatenate([sample.groups, groups]),
        tested=np.concatenate([sample.tested, np.ones(count, np.bool_)]),
        owner=None,
    )
    candidate, active = (
        replace(contender, photos=_joined(contender.photos, own))
        for contender, own in (
            (strangers.candidate, enrolled.candidate),
            (strangers.active, enrolled.active),
        )
    )
    return Contest(joined, candidate, active), np.unique(numbers)


def _joined(first: EmbeddingSet, second: EmbeddingSet) -> EmbeddingSet:
    """The photos of both; where no enrolled photo shows a face, there is no embedding to join."""
    embeddings = np.zeros((len(second.images), first.embeddings.shape[1]), np.float32)
    if second.found.any():
        embeddings[:] = second.embeddings
    return EmbeddingSet(
        images=(*first.images, *second.images),
        identities=np.concatenate([first.identities, second.identities]),
        embeddings=np.concatenate([first.embeddings, embeddings]),
        found=np.concatenate([first.found, second.found]),
        usable=np.concatenate([first.usable, second.usable]),
        measures=(*first.measures, *second.measures),
        reasons=(*first.reasons, *second.reasons),
    )


def _compared(
    name: str, contest: Contest, subjects: Indices, *, max_fmr: float, seed: int
) -> RegressionResult:
    plan = left_out_plan(
        contest.sample, contest.usable, subjects, most=REFERENCES, seed=seed, limit=300_000
    )
    genuine = plan.genuine(contest.sample)
    people = len(np.unique(plan.claimed[genuine]))
    result = RegressionResult(
        name=name,
        people=people,
        photos=int(np.count_nonzero(genuine)),
        references=REFERENCES,
        target_fmr=None,
        candidate=None,
        active=None,
        difference=None,
        lost=False,
        sentence=_NOBODY.format(name=name),
    )
    if not people:
        return result
    target = backed_target(contest, plan, max_fmr, seed=seed)
    if target is None:
        return result.model_copy(update={"sentence": _TOO_FEW.format(name=name)})
    found = compare_at(contest, plan, target, given=resamples_photos(contest, plan), seed=seed)
    return result.model_copy(
        update={
            "target_fmr": target.fmr,
            "candidate": found.candidate,
            "active": found.active,
            "difference": found.difference,
            "lost": found.suspect,
            "sentence": _sentence(name, found, people),
        }
    )


_NOBODY: Final = (
    "Among {name} nobody has two photos that are no copies, so nothing can be said about them."
)
_TOO_FEW: Final = (
    "Among {name} there are too few false matches to set a threshold by, so nothing can be said "
    "about them."
)


def _sentence(name: str, found: PairedResult, people: int) -> str:
    whose = "1 person" if people == 1 else f"{people:,} people"
    loses = "loses" if people == 1 else "lose"
    change = f"{loses} by the new bundle" if found.suspect else f"{loses} nothing that can be told"
    return (
        f"Among {name}, {whose} {change}: at {price(found.fmr)} of strangers let in, it turns away "
        f"{percent(found.candidate.value)} of their probes where the active one turns away "
        f"{percent(found.active.value)}, a difference of {points(found.difference)}."
    )
