"""Brings the gallery in line with the folder verification_images.

A photo put there by hand becomes a reference; one that vanished loses its row and embeddings; one
that changed, or has no embedding under the bundle's fingerprint, is embedded. The photos
themselves are left as they are. A file of unchanged size and time is not read, and a photo without
a usable face is remembered with its reasons, so a restart costs little more than a listing, and a
look at which nothing has changed costs only that.

Where most photos are gone at once, rows are kept: a disk that is not mounted is not an erasure.

Work on pixels happens outside transactions; what is found is recorded in small batches, each held
against the state of that moment, because another process may change the gallery meanwhile.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from app.domain.clock import utc_now
from app.domain.errors import StorageError
from app.services.audit import AuditLog
from app.services.finding_recorder import SyncReport, Tally
from app.services.folder_trust import FolderTrust, Verdict
from app.services.gallery_health import (
    GalleryHealth,
    ProblemCode,
    folder_missing,
    sync_failed,
)
from app.services.photo_intake import Job, PhotoIntake
from app.services.reference_store import ReferenceStore
from app.services.settling import Settling
from app.services.sync_plan import Comparer, Comparison, Known, gone, read_known
from app.services.sync_rows import RowChanger, changes, log_changes
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.home import GalleryHome
from app.storage.records import SkippedRecord
from app.storage.scan import FolderScan

RETRY_SECONDS: Final = 30.0
"""Until a file that could not be read or deleted is tried again while nothing else changes."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """One look, and what follows from it."""

    scan: FolderScan
    known: Known
    missing: frozenset[str]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done after a look.

    Attributes:
        tally: Holds what nothing has to be done for.
        moving: Photos that may still be written to.
        removed: References that go.
    """

    tally: Tally
    comparison: Comparison
    moving: frozenset[str]
    removed: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Rest:
    """The state in which nothing was left to do; `until` is on the monotonic clock."""

    scan: FolderScan
    revision: int
    until: float


class FolderSync:
    """Compares folder and gallery; used by one thread at a time.

    Attributes:
        health: How they stand to each other; replaced as a whole, so any thread may read it.
    """

    def __init__(
        self,
        database: Database,
        files: ReferenceFiles,
        store: ReferenceStore,
        *,
        home: GalleryHome,
        intake: PhotoIntake,
        fingerprint: str,
        audit: AuditLog,
        settling: Settling,
    ) -> None:
        self._database = database
        self._files = files
        self._home = home
        self._trust = FolderTrust(home)
        self._store = store
        self._intake = intake
        self._fingerprint = fingerprint
        self._audit = audit
        self._settling = settling
        self._forgotten: dict[str, SkippedRecord] = {}
        self._rest: _Rest | None = None
        self._has_looked = False
        self._at_work = 0.0
        # A process that was killed may have left deleted embeddings in the database's log.
        self._has_traces = True
        self.health = GalleryHealth()

    def run(self, job: Job) -> SyncReport:
        """Synchronise once. A folder that can't be read changes nothing; `health` tells of it.

        Raises:
            StorageError: If the database can't be used.
        """
        with self._failures_shown():
            scan = self._scan()
            if scan is None:
                return SyncReport(skipped=self.health.report.skipped)
            return self._synchronise(scan, job)

    def look(self, job: Job) -> float:
        """Synchronise if anything may have changed since nothing was left to do.

        Returns:
            Seconds that looking took, without the work on photos.

        Raises:
            StorageError: If the database can't be used.
        """
        started, self._at_work = time.perf_counter(), 0.0
        with self._failures_shown():
            scan = self._scan()
            if scan is not None and self._is_at_rest(scan):
                self.health = replace(self.health, last_sync=utc_now())
            elif scan is not None:
                self._synchronise(scan, job)
        return time.perf_counter() - started - self._at_work

    def _scan(self) -> FolderScan | None:
        try:
            return self._files.scan()
        except StorageError as error:
            self._rest = None
            self.health = replace(self.health, degraded=(folder_missing(error.message),))
            return None

    def _is_at_rest(self, scan: FolderScan) -> bool:
        rest = self._rest
        if rest is None or rest.scan != scan or time.monotonic() >= rest.until:
            return False
        return self._database.revision() == rest.revision

    def _synchronise(self, scan: FolderScan, job: Job) -> SyncReport:
        self._rest = None
        sight = self._recovered(self._see(scan, job), job)
        plan = self._compare(sight)
        if plan.moving and not self._has_looked:
            self._settling.wait()
            sight = self._see(self._files.scan(), job)
            plan = self._compare(sight)
        self._has_looked = True
        if not sight.verdict.may_add:
            return self._hold(sight)
        is_done = self._carry_out(sight, plan, job)
        report = plan.tally.report()
        self._show(sight, report)
        if is_done:
            self._come_to_rest(sight, again=plan.tally.again)
        return report

    def _see(self, scan: FolderScan, job: Job) -> _Sight:
        with self._database.read() as rows:
            known = read_known(rows, self._fingerprint)
        missing = gone(scan, known, self._files)
        verdict = self._trust.judge(scan, known, missing, accept=job.accept_removals)
        return _Sight(scan, known, missing, verdict)

    def _recovered(self, sight: _Sight, job: Job) -> _Sight:
        """Finish what a crash left half done, in the right folder only."""
        is_left = sight.scan.staged or sight.known.doomed
        if not is_left or not sight.verdict.may_add or not self._home.is_writable():
            return sight
        self._store.recover()
        return self._see(self._files.scan(), job)

    def _compare(self, sight: _Sight) -> _Plan:
        verdict, missing = sight.verdict, sight.missing
        is_gone = self._settling.are_gone(missing)
        removed = missing if verdict.may_remove and is_gone else frozenset()
        tally = Tally()
        comparer = Comparer(sight.known, self._forgotten, removed)
        comparison = comparer.compare(sight.scan, tally)
        moving = self._settling.moving(comparison.changed)
        tally.unsettled = len(moving)
        return _Plan(tally, comparison, moving, removed)

    def _carry_out(self, sight: _Sight, plan: _Plan, job: Job) -> bool:
        """Do what is to be done; returns whether nothing is left for the next look."""
        self._change_rows(sight, plan, job)
        comparison, tally = plan.comparison, plan.tally
        tasks = [task for task in comparison.tasks if task.file.path not in plan.moving]
        started = time.perf_counter()
        all_taken = self._intake.take(tasks, comparison.twins, tally, job)
        self._at_work = time.perf_counter() - started
        self._forgotten = tally.forgotten
        self._has_traces = self._has_traces or tally.erased
        if self._has_traces:
            # What can't be emptied now, because someone still reads it, `Database` remembers.
            self._database.erase_traces()
            self._has_traces = False
        waits = plan.removed != sight.missing and sight.verdict.may_remove
        return all_taken and not plan.moving and not waits

    def _change_rows(self, sight: _Sight, plan: _Plan, job: Job) -> None:
        verdict = sight.verdict
        wanted = changes(
            sight.scan, sight.known, plan.removed, plan.moving, may_remove=verdict.may_remove
        )
        if not wanted:
            return
        with self._database.write() as rows:
            # The disk may have been unmounted since the look.
            if self._home.owner() is verdict.owner:
                changer = RowChanger(rows, self._files, self._fingerprint)
                changer.apply(wanted, sight.known, plan.tally)
                log_changes(rows, self._audit, job.actor, plan.tally)

    def _hold(self, sight: _Sight) -> SyncReport:
        """Leave everything as it is: this is another folder."""
        self._show(sight, self.health.report)
        self._come_to_rest(sight, again=False)
        return SyncReport(skipped=self.health.report.skipped)

    def _show(self, sight: _Sight, report: SyncReport) -> None:
        problem = sight.verdict.problem
        self.health = GalleryHealth((problem,) if problem else (), utc_now(), report)

    def _come_to_rest(self, sight: _Sight, *, again: bool) -> None:
        is_left = again or sight.known.doomed
        until = time.monotonic() + RETRY_SECONDS if is_left else math.inf
        self._rest = _Rest(sight.scan, sight.known.revision, until)

    @contextmanager
    def _failures_shown(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self._show_failure(error.message)
            raise
        except Exception as error:
            self._show_failure(f"An unexpected error ({type(error).__name__}) came up.")
            raise

    def _show_failure(self, why: str) -> None:
        self._rest = None
        others = [p for p in self.health.degraded if p.code is not ProblemCode.SYNC_FAILED]
        self.health = replace(self.health, degraded=(*others, sync_failed(why)))
