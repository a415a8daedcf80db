"""What is wrong with the gallery although verification works, as immutable values."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from app.services.audit import AuditLog
from app.services.finding_recorder import SyncReport


class ProblemCode(StrEnum):
    """Stable names of problems."""

    IMAGES_FOLDER_MISSING = "images_folder_missing"
    """The folder verification_images is gone or can't be read."""
    IMAGES_FOLDER_FOREIGN = "images_folder_foreign"
    """Most photos are gone and the folder does not carry this gallery's marker."""
    FILES_MISSING = "files_missing"
    """Most photos are gone from the gallery's own folder."""
    SYNC_FAILED = "sync_failed"
    """Folder and gallery could not be compared."""
    AUDIT_FAILING = "audit_failing"
    """Verdicts are not logged at present."""
    EMBEDDINGS_DAMAGED = "embeddings_damaged"
    """Some references can't be compared with until their photos are embedded anew."""
    MODEL_NOT_ACTIVATED = "model_not_activated"
    """The file `active` names a bundle that could not take over; the one before serves."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem; `message` is one sentence or two for the operator and names nobody."""

    code: ProblemCode
    message: str


@dataclass(frozen=True, slots=True)
class GalleryHealth:
    """How folder and gallery stand to each other.

    Attributes:
        degraded: What is wrong; empty if nothing is.
        last_sync: When they were last compared without a failure, ISO 8601 UTC; None if never.
        report: What the latest comparison that found something to do, or to report, gave.
    """

    degraded: tuple[Problem, ...] = ()
    last_sync: str | None = None
    report: SyncReport = field(default_factory=SyncReport)


def with_others(found: GalleryHealth, damaged: int, audit: AuditLog) -> GalleryHealth:
    """What was found of the folder, with what is wrong besides.

    Args:
        found: What was found of the folder.
        damaged: How many embeddings are damaged.
        audit: Which may be failing.
    """
    others = [embeddings_damaged(damaged)] if damaged else []
    if audit.failing:
        others.append(audit_failing(audit.waiting, audit.lost))
    return replace(found, degraded=(*found.degraded, *others)) if others else found


def folder_missing(why: str) -> Problem:
    """`why` is a sentence."""
    return Problem(
        ProblemCode.IMAGES_FOLDER_MISSING,
        f"{why} References are kept and verification goes on, but photos can't be enrolled or "
        "deleted. Mount the disk that holds the folder, or make it readable.",
    )


def folder_foreign(missing: int, known: int) -> Problem:
    """The folder is another one."""
    return Problem(
        ProblemCode.IMAGES_FOLDER_FOREIGN,
        f"verification_images is not the folder of this gallery: its marker is missing or names "
        f"another one, and {missing} of {known} photos are not there. References are kept and "
        "verification goes on, but photos can't be enrolled or deleted. Mount the right disk. "
        "Only if this is the folder to use from now on, run `facetwin sync --accept-removals`.",
    )


def files_missing(missing: int, known: int) -> Problem:
    """Too many files are gone for a removal by hand to be believed."""
    return Problem(
        ProblemCode.FILES_MISSING,
        f"{missing} of {known} photos are gone from verification_images. Their references are "
        "kept until all are back. Put the photos back, or, if they were deleted on purpose, run "
        "`facetwin sync --accept-removals`.",
    )


def sync_failed(why: str) -> Problem:
    """`why` is a sentence."""
    return Problem(
        ProblemCode.SYNC_FAILED,
        f"Changes in verification_images are not taken up at present; it is tried again. {why}",
    )


def embeddings_damaged(count: int) -> Problem:
    """Embeddings were damaged or altered in the database."""
    return Problem(
        ProblemCode.EMBEDDINGS_DAMAGED,
        f"{count} embeddings in the database are damaged. They are left out of verification and "
        "computed anew from their photos at the next look at the folder. If this comes back, check "
        "the disk that holds the database.",
    )


def audit_failing(waiting: int, lost: int) -> Problem:
    """Entries of the audit log can't be written."""
    return Problem(
        ProblemCode.AUDIT_FAILING,
        f"The audit log can't be written: {waiting} entries wait in memory, {lost} were given up. "
        "Enrolments and deletions are refused rather than not logged. See to the database's disk.",
    )


def model_not_activated(wanted: str | None, serving: str, why: str) -> Problem:
    """`wanted` is what the file `active` names, `why` a sentence."""
    named = "names no model" if wanted is None else f"names the model {wanted!r}"
    return Problem(
        ProblemCode.MODEL_NOT_ACTIVATED,
        f"The file active {named}, which can't take over; {serving} goes on serving. {why} It is "
        f"tried again; to end this, activate another model, or {serving} again.",
    )
