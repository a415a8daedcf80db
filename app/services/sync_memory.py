"""What a process remembers of its looks at the folder: names of files, which go with a person.

A person may be erased in the middle of a synchronisation, which then still knows of their files.
What it found of them is not shown any more, and its next look starts from the disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from app.services.finding_recorder import SyncReport
from app.services.gallery_health import GalleryHealth
from app.storage.layout import belongs_to
from app.storage.records import SkippedRecord
from app.storage.scan import FolderScan


@dataclass(frozen=True, slots=True)
class Rest:
    """The state in which nothing was left to do; `until` is on the monotonic clock."""

    scan: FolderScan
    revision: int
    until: float


class SyncMemory:
    """Kept by the one thread that synchronises; any thread may read it or have a person forgotten.

    Attributes:
        health: How folder and gallery stand to each other; replaced as a whole.
        forgotten: Findings that the database does not keep, by path; replaced as a whole.
        rest: When nothing was left to do; None if something may be.
    """

    def __init__(self) -> None:
        self.health = GalleryHealth()
        self.forgotten: Mapping[str, SkippedRecord] = {}
        self.rest: Rest | None = None
        self._erased: set[str] = set()
        self._changing = Lock()

    def begin(self) -> None:
        """A look begins: what it sees from now on is what there is."""
        with self._changing:
            self._erased.clear()

    def show(self, **changes: Any) -> None:
        """Replace attributes of `health`."""
        with self._changing:
            self.health = replace(self.health, **changes)
            self._leave_out()

    def keep(self, forgotten: Mapping[str, SkippedRecord]) -> None:
        """Replace `forgotten`."""
        with self._changing:
            self.forgotten = forgotten
            self._leave_out()

    def settle(self, rest: Rest) -> None:
        """Nothing is left to do, unless someone was erased since the look began."""
        with self._changing:
            self.rest = None if self._erased else rest

    def forget(self, key: str) -> None:
        """Leave out the files of a subject that was erased."""
        with self._changing:
            self._erased.add(key)
            self.rest = None
            self._leave_out()

    def _leave_out(self) -> None:
        self.health = replace(self.health, report=self._without_erased(self.health.report))
        gone = {path for path in self.forgotten if self._is_erased(path)}
        if gone:
            self.forgotten = {p: r for p, r in self.forgotten.items() if p not in gone}

    def _without_erased(self, report: SyncReport) -> SyncReport:
        kept = tuple(file for file in report.skipped if not self._is_erased(file.path))
        return report if kept == report.skipped else replace(report, skipped=kept)

    def _is_erased(self, path: str) -> bool:
        return any(belongs_to(key, path) for key in self._erased)
