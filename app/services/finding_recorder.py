"""Records what was found about folder photos, within one write transaction."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from app.domain.clock import utc_now
from app.domain.entities import FaceTemplate, Reason, ReasonCode
from app.domain.subjects import subject_key
from app.services.photo_examiner import Finding
from app.services.photos import duplicate_of
from app.storage.files import ReferenceFiles
from app.storage.gallery_writer import GalleryWriter
from app.storage.records import EmbeddingRecord, FolderImage, ImageRecord, SkippedRecord

_FORGOTTEN: Final = frozenset({ReasonCode.INVALID_IMAGE, ReasonCode.DUPLICATE_IMAGE})
"""Reasons that a setting or another file can undo, and that are cheap to find again."""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file or folder under verification_images that can't be used, and why."""

    path: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation did.

    Attributes:
        added: New references.
        removed: References whose photo vanished or became unusable.
        embedded: Photos embedded, new ones included.
        unchanged: References left as they were.
        skipped: What lies in the folder and can't become a reference.
        unsettled: Photos that may still be written to; a later look takes them up.
    """

    added: int = 0
    removed: int = 0
    embedded: int = 0
    unchanged: int = 0
    skipped: tuple[SkippedFile, ...] = ()
    unsettled: int = 0


@dataclass(slots=True)
class Tally:
    """Counts towards a `SyncReport`, and what the next look must know.

    Attributes:
        forgotten: Findings that the database does not keep, for as long as the process lives.
        erased: Whether an embedding was deleted, of which the database's log may hold traces.
        again: Whether something is worth trying again although nothing changes in the folder.
        changes: References added to or removed from a subject, by its key and what was done; not
            yet in the audit log.
    """

    added: int = 0
    removed: int = 0
    embedded: int = 0
    unchanged: int = 0
    unsettled: int = 0
    skipped: list[SkippedFile] = field(default_factory=list)
    forgotten: dict[str, SkippedRecord] = field(default_factory=dict)
    erased: bool = False
    again: bool = False
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def skip(self, path: str, *reasons: Reason) -> None:
        """Note a file or folder that can't be used."""
        self.skipped.append(SkippedFile(path, reasons))

    def report(self) -> SyncReport:
        """The counts so far."""
        return SyncReport(
            added=self.added,
            removed=self.removed,
            embedded=self.embedded,
            unchanged=self.unchanged,
            skipped=tuple(sorted(self.skipped, key=lambda file: file.path)),
            unsettled=self.unsettled,
        )


class FindingRecorder:
    """Turns findings into rows; holds each against the rows and files of this moment."""

    def __init__(
        self, rows: GalleryWriter, files: ReferenceFiles, fingerprint: str, tally: Tally
    ) -> None:
        self._rows = rows
        self._files = files
        self._fingerprint = fingerprint
        self._tally = tally

    def record(self, finding: Finding) -> None:
        """Add, renew, restamp or refuse the photo."""
        path = finding.file.path
        current = self._rows.folder_images(self._fingerprint, [path]).get(path)
        if finding.template is not None:
            self._keep(finding, finding.template, current)
        elif finding.reasons:
            self._refuse(finding, finding.reasons, current)
        elif current is not None:
            self._rows.restamp_image(current.image.image_id, finding.stamp)
            self._tally.unchanged += 1

    def _keep(self, finding: Finding, template: FaceTemplate, current: FolderImage | None) -> None:
        if current is None or current.image.sha256 != finding.sha256:
            twin = self._twin(finding, is_known=current is not None)
            if twin is not None:
                self._refuse(finding, (duplicate_of(twin),), current)
                return
        image_id = self._put_image(finding, current)
        value = EmbeddingRecord(template.embedding, template.face, template.quality)
        self._rows.put_embedding(image_id, self._fingerprint, value)
        self._rows.remove_skipped([finding.file.path])
        self._tally.embedded += 1

    def _put_image(self, finding: Finding, current: FolderImage | None) -> str:
        if current is None:
            key = subject_key(finding.file.subject)
            subject = self._rows.subject(key)
            if subject is None:
                subject = self._rows.add_subject(finding.file.subject, key, utc_now())
            image = _new_image(finding)
            self._rows.add_image(subject.id, image)
            self._note(finding, "added")
            self._tally.added += 1
            return image.image_id
        image_id = current.image.image_id
        if current.image.sha256 == finding.sha256:
            self._rows.restamp_image(image_id, finding.stamp)
        else:
            self._rows.replace_content(image_id, finding.sha256, finding.stamp)
            self._note(finding, "changed")
            self._tally.erased = True
        return image_id

    def _twin(self, finding: Finding, *, is_known: bool) -> str | None:
        """Path of another reference of the subject with the same content."""
        subject = self._rows.subject(subject_key(finding.file.subject))
        twin = subject and self._rows.twin(subject.id, [finding.sha256])
        if not twin or twin.path == finding.file.path:
            return None
        # Two references may have swapped their names: what the other's row says is over then.
        is_over = is_known and self._files.stamp(twin.path) not in {None, twin.stamp}
        return None if is_over else twin.path

    def _refuse(
        self, finding: Finding, reasons: tuple[Reason, ...], current: FolderImage | None
    ) -> None:
        path = finding.file.path
        self._tally.skip(path, *reasons)
        if current is not None and _is_replaced(current.image, finding):
            self._rows.remove_image(current.image.image_id)
            self._note(finding, "removed")
            self._tally.removed += 1
            self._tally.erased = True
        record = SkippedRecord(path, self._fingerprint, finding.sha256, finding.stamp, reasons)
        if _FORGOTTEN.intersection(reason.code for reason in reasons):
            self._tally.forgotten[path] = record
        else:
            self._rows.put_skipped(record)

    def _note(self, finding: Finding, outcome: str) -> None:
        self._tally.changes[subject_key(finding.file.subject), outcome] += 1


def _is_replaced(known: ImageRecord, finding: Finding) -> bool:
    """Whether the photo is another one than the reference was made from."""
    if finding.sha256:
        return known.sha256 != finding.sha256
    # It could not be read to its end or looked at: what is known holds while the file stays.
    return known.stamp != finding.stamp


def _new_image(finding: Finding) -> ImageRecord:
    return ImageRecord(
        image_id=uuid4().hex,
        path=finding.file.path,
        sha256=finding.sha256,
        source_sha256=finding.sha256,
        stamp=finding.stamp,
        source="folder",
        face_policy=finding.policy,
        created_at=utc_now(),
    )
