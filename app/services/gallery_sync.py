"""Brings the gallery in line with the folder verification_images.

A photo put there by hand becomes a reference; one that vanished loses its row and embeddings; one
that changed, or has no embedding under the bundle's fingerprint, is embedded. The photos
themselves are left as they are. A file of unchanged size and time is not read, and a photo without
a usable face is remembered with its reasons, so a restart costs little more than a listing, and a
look at which nothing has changed costs only that.

Where most photos are gone at once, rows are kept: a disk that is not mounted is not an erasure.
This is noted in the database as soon as it is seen, and holds for every process until it is over.

Work on pixels happens outside transactions; what is found is recorded in small batches, each held
against the state of that moment, because another process may change the gallery meanwhile.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
from app.services.losses import Loss
from app.services.mending import Mending
from app.services.photo_intake import Job, PhotoIntake
from app.services.photos import invalid
from app.services.reference_store import ReferenceStore
from app.services.settling import Settling
from app.services.sync_memory import Rest, SyncMemory
from app.services.sync_plan import Comparer, Comparison, Known, gone, read_known
from app.services.sync_rows import RowChanger, changes, log_changes
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.home import GalleryHome
from app.storage.scan import FolderScan

RETRY_SECONDS: Final = 30.0
"""Until a file that could not be read or deleted is tried again while nothing else changes."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """One look, and what follows from it."""

    scan: FolderScan
    known: Known
    loss: Loss
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done after a look.

    Attributes:
        tally: Holds what nothing has to be done for.
        moving: Photos that may still be written to.
        removed: References that go.
        waits: Whether others will go once they are missing for longer.
    """

    tally: Tally
    comparison: Comparison
    moving: frozenset[str]
    removed: frozenset[str]
    waits: bool


class FolderSync:
    """Compares folder and gallery; used by one thread at a time, except `health` and `forget`."""

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
        mending: Mending,
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
        self._mending = mending
        self._unnamed: dict[str, str] = {}
        self._memory = SyncMemory()
        self._has_looked = False
        # A process that was killed may have left deleted embeddings in the database's log.
        self._has_traces = True

    @property
    def health(self) -> GalleryHealth:
        """How folder and gallery stand to each other."""
        return self._memory.health

    def forget(self, key: str) -> None:
        """Do not show files of a subject that was erased any more."""
        self._memory.forget(key)

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
            Seconds that listing the folder took.

        Raises:
            StorageError: If the database can't be used.
        """
        with self._failures_shown():
            started = time.perf_counter()
            scan = self._scan()
            seconds = time.perf_counter() - started
            if scan is not None and self._is_at_rest(scan):
                self._memory.show(last_sync=utc_now())
            elif scan is not None:
                self._synchronise(scan, job)
            self._mending.look()
        return seconds

    def _scan(self) -> FolderScan | None:
        self._memory.begin()
        try:
            return self._files.scan()
        except StorageError as error:
            self._memory.rest = None
            self._memory.show(degraded=(folder_missing(error.message),))
            return None

    def _is_at_rest(self, scan: FolderScan) -> bool:
        rest = self._memory.rest
        if rest is None or rest.scan != scan or time.monotonic() >= rest.until:
            return False
        return not self._mending.is_due(rest.revision)

    def _synchronise(self, scan: FolderScan, job: Job) -> SyncReport:
        self._memory.rest = None
        self._mending.drop()
        sight = self._recovered(self._see(scan, job), job)
        plan = self._compare(sight, job)
        if (plan.moving or plan.waits) and not self._has_looked:
            self._settling.wait()
            sight = self._see(self._files.scan(), job)
            plan = self._compare(sight, job)
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
        loss = self._settling.losses.seen(gone(scan, known, self._files), known.images)
        verdict = self._trust.judge(scan, known, loss, accept=job.accept_removals)
        is_confirmed = job.accept_removals and loss.missing
        if verdict.held != known.held and not is_confirmed:
            self._note_held(verdict.held, known)
        return _Sight(scan, known, loss, verdict)

    def _note_held(self, paths: frozenset[str], known: Known) -> None:
        # A reference can't be removed either while this can't be noted; it is tried again.
        with suppress(StorageError), self._database.write() as rows:
            # What another process has changed since may be that the loss was confirmed.
            if rows.revision_after == known.revision + 1:
                rows.hold_photos(paths)

    def _recovered(self, sight: _Sight, job: Job) -> _Sight:
        """Finish what a crash left half done, in the right folder only."""
        self._unnamed = {}
        is_left = sight.scan.staged or sight.known.doomed
        if not is_left or not sight.verdict.may_add or not self._home.is_writable():
            return sight
        self._unnamed = self._store.recover()
        return self._see(self._files.scan(), job)

    def _compare(self, sight: _Sight, job: Job) -> _Plan:
        may_remove = sight.verdict.may_remove
        removed = sight.loss.removable(accept=job.accept_removals) if may_remove else frozenset()
        tally = Tally(again=bool(self._unnamed))
        for path, why in self._unnamed.items():
            tally.skip(path, invalid(why))
        comparer = Comparer(sight.scan, sight.known, self._memory.forgotten, removed)
        comparison = comparer.compare(tally)
        moving = self._settling.moving(comparison.changed)
        tally.unsettled = len(moving)
        waits = may_remove and removed != sight.loss.missing
        return _Plan(tally, comparison, moving, removed, waits)

    def _carry_out(self, sight: _Sight, plan: _Plan, job: Job) -> bool:
        """Do what is to be done; returns whether nothing is left for the next look."""
        self._change_rows(sight, plan, job)
        tally = plan.tally
        tasks = [task for task in plan.comparison.tasks if task.file.path not in plan.moving]
        all_taken = self._intake.take(tasks, tally, job)
        self._memory.keep(tally.forgotten)
        self._has_traces = self._has_traces or tally.erased
        if self._has_traces:
            # What can't be emptied now, because someone still reads it, `Database` remembers.
            self._database.erase_traces()
            self._has_traces = False
        return all_taken and not plan.moving and not plan.waits

    def _change_rows(self, sight: _Sight, plan: _Plan, job: Job) -> None:
        verdict = sight.verdict
        wanted = changes(
            sight.scan, sight.known, plan.removed, plan.moving, may_remove=verdict.may_remove
        )
        for part in wanted.parts():
            if job.stopping():
                return
            with self._database.write() as rows:
                # The disk may have been unmounted since the look.
                if self._home.owner() is not verdict.owner:
                    return
                if job.accept_removals and rows.held_photos():
                    rows.hold_photos(())
                changer = RowChanger(rows, self._files, self._fingerprint)
                changer.apply(part, sight.known, plan.tally)
                log_changes(rows, self._audit, job.actor, plan.tally)
        if not job.accept_removals:
            self._settling.losses.removed(plan.removed)

    def _hold(self, sight: _Sight) -> SyncReport:
        """Leave everything as it is: this is another folder."""
        self._show(sight, self.health.report)
        self._come_to_rest(sight, again=False)
        return SyncReport(skipped=self.health.report.skipped)

    def _show(self, sight: _Sight, report: SyncReport) -> None:
        problem = sight.verdict.problem
        degraded = (problem,) if problem else ()
        self._memory.show(degraded=degraded, last_sync=utc_now(), report=report)

    def _come_to_rest(self, sight: _Sight, *, again: bool) -> None:
        is_noted = sight.known.held == sight.verdict.held
        is_left = again or sight.known.doomed or sight.scan.staged or not is_noted
        until = time.monotonic() + RETRY_SECONDS if is_left else math.inf
        self._memory.settle(Rest(sight.scan, sight.known.revision, until))

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
        self._memory.rest = None
        others = [p for p in self.health.degraded if p.code is not ProblemCode.SYNC_FAILED]
        self._memory.show(degraded=(*others, sync_failed(why)))
