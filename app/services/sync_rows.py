"""What a synchronisation changes besides embeddings, within one write transaction."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from app.domain.audit import Action, Actor, AuditEvent
from app.domain.clock import utc_now
from app.domain.subjects import subject_key
from app.services.audit import AuditLog
from app.services.finding_recorder import Tally
from app.services.sync_plan import Known
from app.storage.files import ReferenceFiles
from app.storage.gallery_writer import GalleryWriter
from app.storage.records import SubjectRecord
from app.storage.scan import FolderFile, FolderScan

_BATCH: Final = 200
"""References that are removed in one transaction; other writers wait meanwhile."""


@dataclass(frozen=True, slots=True)
class RowChanges:
    """Rows that go or come.

    Attributes:
        removed: Paths of references whose photos are gone.
        stale: Paths of unusable photos that are gone.
        newcomers: A photo of each subject that has no row yet.
        leavers: Subjects without references and folder.
    """

    removed: frozenset[str]
    stale: tuple[str, ...]
    newcomers: tuple[FolderFile, ...]
    leavers: tuple[SubjectRecord, ...]

    def __bool__(self) -> bool:
        return bool(self.removed or self.stale or self.newcomers or self.leavers)

    def parts(self) -> Iterator["RowChanges"]:
        """Split them into transactions that other writers need not wait long for."""
        removed = sorted(self.removed)
        while len(removed) > _BATCH:
            yield RowChanges(frozenset(removed[:_BATCH]), (), (), ())
            removed = removed[_BATCH:]
        # Leavers go last: until then they have references.
        last = replace(self, removed=frozenset(removed))
        if last:
            yield last


def changes(
    scan: FolderScan,
    known: Known,
    removed: frozenset[str],
    moving: Collection[str],
    *,
    may_remove: bool,
) -> RowChanges:
    """What has to change; a folder with photos is a subject.

    Args:
        scan: What lies in the folder.
        known: The rows.
        removed: Paths of references to remove.
        moving: Photos that don't count yet.
        may_remove: Whether anything may be removed.
    """
    files = [f for f in scan.files if f.path not in known.doomed and f.path not in moving]
    first = {subject_key(file.subject): file for file in reversed(files)}
    names = {subject.key for subject in known.subjects}
    newcomers = tuple(file for key, file in first.items() if key not in names)
    if not may_remove:
        return RowChanges(frozenset(), (), newcomers, ())
    present = {file.path for file in scan.files}
    stale = sorted(p for p in known.skipped_paths - present if not scan.hides(p))
    on_disk = {subject_key(name) for name in (*scan.folders, *(f.subject for f in scan.files))}
    owners = {known.images[path].subject_key for path in known.images if path not in removed}
    leavers = tuple(s for s in known.subjects if s.key not in on_disk | owners)
    return RowChanges(removed, tuple(stale), newcomers, leavers)


class RowChanger:
    """Applies changes, each held against the rows and files of this moment."""

    def __init__(self, rows: GalleryWriter, files: ReferenceFiles, fingerprint: str) -> None:
        self._rows = rows
        self._files = files
        self._fingerprint = fingerprint

    def apply(self, wanted: RowChanges, known: Known, tally: Tally) -> None:
        """Remove and add rows; what another process changed meanwhile is left as it is."""
        if wanted.removed:
            self._remove_images(wanted.removed, known, tally)
        self._rows.remove_skipped(p for p in wanted.stale if not self._files.exists(p))
        for file in wanted.newcomers:
            key = subject_key(file.subject)
            if self._rows.subject(key) is None and self._files.exists(file.path):
                self._rows.add_subject(file.subject, key, utc_now())
        if wanted.leavers:
            counts = self._rows.counts()
            current = {subject.id: subject for subject in self._rows.subjects()}
            for subject in wanted.leavers:
                if subject.id not in counts and subject.id in current:
                    self._rows.remove_subject(subject.id)

    def _remove_images(self, paths: frozenset[str], known: Known, tally: Tally) -> None:
        if self._rows.held_photos():
            # Another process has seen so many gone that this removal is not to be believed.
            return
        current = self._rows.folder_images(self._fingerprint, paths)
        for path in sorted(paths):
            image_id = known.images[path].image.image_id
            now = current.get(path)
            # An upload may have come since, or the disk with the photos.
            if now is None or now.image.image_id != image_id or self._files.exists(path):
                continue
            self._rows.remove_image(image_id)
            tally.removed += 1
            tally.erased = True
            tally.changes[now.subject_key, "removed"] += 1


def log_changes(rows: GalleryWriter, audit: AuditLog, actor: Actor, tally: Tally) -> None:
    """Tell the audit log, in the same transaction, what changed for whom."""
    for (key, outcome), count in sorted(tally.changes.items()):
        event = AuditEvent(Action.SYNC, actor, audit.pseudonym(key), outcome, {"references": count})
        audit.append(rows.connection, event)
    tally.changes.clear()
