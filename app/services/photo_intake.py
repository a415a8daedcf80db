"""Looks at photos of the folder, with one worker or many, and records what they turn out to be."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from app.domain.audit import SERVICE, Actor
from app.domain.entities import ReasonCode
from app.services.audit import AuditLog
from app.services.finding_recorder import FindingRecorder, Tally
from app.services.photo_examiner import Finding, PhotoExaminer, Task
from app.services.photo_sealing import PhotoSealing
from app.services.sync_rows import log_changes
from app.storage.database import Database
from app.storage.files import ReferenceFiles

Progress = Callable[[int, int], None]
"""Called with the number of photos done and the number to do."""

ALL_WORKERS: Final = min(8, os.cpu_count() or 1)
_BATCH: Final = 32


def never() -> bool:
    """Nothing asks to stop."""
    return False


def unwatched(_done: int, _total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Job:
    """How a synchronisation is to be run.

    Attributes:
        progress: Is told how far it is.
        workers: How many photos are looked at at the same time.
        stopping: Asked after each photo; what is recorded by then stays.
        accept_removals: Whether it is confirmed that most photos are gone for good.
        actor: Who the audit log says it was.
    """

    progress: Progress = unwatched
    workers: int = ALL_WORKERS
    stopping: Callable[[], bool] = never
    accept_removals: bool = False
    actor: Actor = SERVICE


class PhotoIntake:
    """Turns tasks into rows."""

    def __init__(
        self,
        database: Database,
        files: ReferenceFiles,
        examiner: PhotoExaminer,
        fingerprint: str,
        audit: AuditLog,
    ) -> None:
        self._database = database
        self._files = files
        self._examiner = examiner
        self._fingerprint = fingerprint
        self._audit = audit
        cipher = database.cipher
        self._sealing = PhotoSealing(database, files, cipher) if cipher else None

    def take(self, tasks: Sequence[Task], tally: Tally, job: Job) -> bool:
        """Look at photos and record them.

        Returns:
            Whether all were; false if it was asked to stop.

        Raises:
            StorageError: If the database can't be written.
        """
        done = 0
        with ExitStack() as stack:
            spread = _spread(job.workers, stack)
            while done < len(tasks) and not job.stopping():
                batch = tasks[done : done + _BATCH]
                findings: list[Finding] = []
                for finding in spread(self._examiner.examine, batch):
                    done += 1
                    if finding is not None:
                        findings.append(finding)
                    job.progress(done, len(tasks))
                    if job.stopping():
                        break
                self._record(findings, tally, job)
                self._note(findings)
        if self._sealing is not None and self._sealing.run(job.stopping):
            tally.again = True
        return done == len(tasks)

    def _note(self, findings: Sequence[Finding]) -> None:
        """Have photos encrypted, but none that may be a copy still under way."""
        for finding in findings:
            codes = {reason.code for reason in finding.reasons}
            is_whole = finding.sha256 and ReasonCode.INVALID_IMAGE not in codes
            if self._sealing and is_whole and finding.stamp == finding.file.stamp:
                self._sealing.note(finding.file.path, finding.stamp)

    def _record(self, findings: Sequence[Finding], tally: Tally, job: Job) -> None:
        silent = [f for f in findings if f.again]
        for finding in silent:
            tally.skip(finding.file.path, *finding.reasons)
            tally.again = True
        spoken = [f for f in findings if not f.again]
        if not spoken:
            return
        with self._database.write() as rows:
            recorder = FindingRecorder(rows, self._files, self._fingerprint, tally)
            doomed = set(rows.pending_removals())
            for finding in spoken:
                # The photo may have been changed or deleted while it was looked at.
                if finding.file.path not in doomed and self._still_holds(finding):
                    recorder.record(finding)
            log_changes(rows, self._audit, job.actor, tally)

    def _still_holds(self, finding: Finding) -> bool:
        file = finding.file
        if finding.stamp != file.stamp:
            return False
        stamp = self._files.stamp(file.path)
        return stamp == file.stamp


_Map = Callable[[Callable[[Task], Finding | None], Iterable[Task]], Iterator[Finding | None]]


def _spread(workers: int, stack: ExitStack) -> _Map:
    """How to apply a function to many; one worker does one photo at a time, as it is asked for."""
    if workers == 1:
        return map
    return stack.enter_context(ThreadPoolExecutor(workers, "gallery-sync")).map
