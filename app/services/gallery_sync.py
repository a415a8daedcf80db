"""Brings the gallery in line with the folder verification_images.

A photo put there by hand becomes a reference; one that vanished loses its row and embeddings; one
that changed, or has no embedding under the bundle's fingerprint, is embedded. The photos
themselves are left as they are. A file of unchanged size and time is not read, and a photo without
a usable face is remembered with its reasons, so a restart costs little more than a listing.

Work on pixels happens outside transactions; what is found is recorded in small batches, each held
against the state of that moment, because another process may change the gallery meanwhile.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from app.domain.entities import FacePolicy
from app.domain.ports import FacePipeline
from app.domain.subjects import subject_key
from app.services.finding_recorder import FindingRecorder, SkippedFile, SyncReport, Tally
from app.services.photo_examiner import Finding, PhotoExaminer, Task, Twins, twins_of
from app.services.photos import invalid
from app.services.reference_store import ReferenceStore, utc_now
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.gallery_writer import GalleryWriter
from app.storage.layout import FolderFile, FolderScan

Progress = Callable[[int, int], None]
"""Called with the number of photos done and the number to do."""

_BATCH: Final = 32
_UNDELETED: Final = invalid(
    "Its reference was deleted, but the file can't be removed. Delete it, or make it deletable."
)
_WORKERS: Final = min(8, os.cpu_count() or 1)


class FolderSync:
    """Compares folder and gallery; `run` may be called again."""

    def __init__(
        self,
        database: Database,
        files: ReferenceFiles,
        store: ReferenceStore,
        pipeline: FacePipeline,
        *,
        max_image_bytes: int,
        policy: FacePolicy,
    ) -> None:
        self._database = database
        self._files = files
        self._store = store
        self._fingerprint = pipeline.fingerprint
        self._examiner = PhotoExaminer(files, pipeline, max_image_bytes, policy)

    def run(self, progress: Progress | None = None) -> SyncReport:
        """Synchronise once.

        Raises:
            StorageError: If database or folder can't be used.
        """
        self._store.recover()
        tally = Tally()
        tasks, twins = self._compare(self._files.scan(), tally)
        if tasks:
            self._work(tasks, twins, tally, progress or _no_progress)
        return tally.report()

    def _compare(self, scan: FolderScan, tally: Tally) -> tuple[list[Task], Twins]:
        """Drop what vanished, count what is unchanged, and list what must be read."""
        tally.skipped += [SkippedFile(path, (invalid(why),)) for path, why in scan.refused]
        with self._database.write() as rows:
            doomed = set(rows.pending_removals())
            tally.skipped += [SkippedFile(path, (_UNDELETED,)) for path in doomed]
            files = [f for f in scan.files if f.path not in doomed and self._files.exists(f.path)]
            self._drop_vanished(rows, {file.path for file in files}, tally)
            _match_subjects(rows, files, scan.folders)
            known = rows.folder_images(self._fingerprint)
            skipped = rows.skipped(self._fingerprint)
        tasks = [Task(f, known.get(f.path), skipped.get(f.path)) for f in files]
        return [task for task in tasks if not _settled(task, tally)], twins_of(known)

    def _drop_vanished(self, rows: GalleryWriter, present: set[str], tally: Tally) -> None:
        for path, known in rows.folder_images(self._fingerprint).items():
            # The listing is older than this transaction: an upload may have come since.
            if path not in present and not self._files.exists(path):
                rows.remove_image(known.image.image_id)
                tally.removed += 1
        rows.remove_skipped(sorted(rows.skipped_paths() - present))

    def _work(self, tasks: Sequence[Task], twins: Twins, tally: Tally, progress: Progress) -> None:
        examine = partial(self._examiner.examine, twins=twins)
        done = 0
        with ThreadPoolExecutor(_WORKERS, "gallery-sync") as workers:
            for start in range(0, len(tasks), _BATCH):
                findings: list[Finding] = []
                for finding in workers.map(examine, tasks[start : start + _BATCH]):
                    if finding is not None:
                        findings.append(finding)
                    done += 1
                    progress(done, len(tasks))
                self._record(findings, tally)

    def _record(self, findings: Sequence[Finding], tally: Tally) -> None:
        with self._database.write() as rows:
            recorder = FindingRecorder(rows, self._fingerprint, tally)
            doomed = set(rows.pending_removals())
            for finding in findings:
                # The photo may have been deleted while it was looked at.
                if finding.file.path not in doomed and self._files.exists(finding.file.path):
                    recorder.record(finding)


def _match_subjects(
    rows: GalleryWriter, files: Sequence[FolderFile], folders: Sequence[str]
) -> None:
    """A folder with photos is a subject; one without references and folder is none."""
    for name in dict.fromkeys(file.subject for file in files):
        if rows.subject(subject_key(name)) is None:
            rows.add_subject(name, subject_key(name), utc_now())
    on_disk = {subject_key(name) for name in (*folders, *(file.subject for file in files))}
    counts = rows.counts()
    for subject in rows.subjects():
        if subject.id not in counts and subject.key not in on_disk:
            rows.remove_subject(subject.id)


def _settled(task: Task, tally: Tally) -> bool:
    """Count a photo of unchanged size and time, if nothing more has to be done for it."""
    stamp = task.file.stamp
    if task.known and task.known.embedded and task.known.image.stamp == stamp:
        tally.unchanged += 1
        return True
    if task.skipped and task.skipped.stamp == stamp:
        tally.skipped.append(SkippedFile(task.file.path, task.skipped.reasons))
        return True
    return False


def _no_progress(_done: int, _total: int) -> None:
    """Nobody watches."""
