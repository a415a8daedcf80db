"""Which files stand still, so that no half-copied photo becomes a reference.

A file is taken for finished when it was seen with the same size and times at two looks that lie
`seconds` of the monotonic clock apart. The wall clock may step, and a copy may bring any time
along, so times of files are not held against it, with one exception: at its first look a process
has seen nothing before, and a file that says it changed a moment ago is to be looked at again.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from app.services.losses import Losses
from app.storage.records import FileStamp
from app.storage.scan import FolderFile

SETTLE_SECONDS: Final = 2.0
_LONG_AGO: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from; tests bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class _Sighting:
    stamp: FileStamp
    ctime_ns: int
    since: float


class Settling:
    """Remembers what was seen, for files that are new or changed against the database.

    Args:
        seconds: How long a file must stand still, or be missing.
        clock: Where time comes from.

    Attributes:
        losses: Remembers what vanished.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sightings: Mapping[str, _Sighting] | None = None
        self.losses = Losses(seconds, clock.monotonic)

    def moving(self, files: Iterable[FolderFile]) -> frozenset[str]:
        """Those of `files` that may still be written to; the others of them stand still.

        Args:
            files: All that are new or changed at this look; others are forgotten.
        """
        now = self._clock.monotonic()
        seen = {file.path: self._sighting(file, now) for file in files}
        self._sightings = seen
        return frozenset(p for p, sighting in seen.items() if now - sighting.since < self._seconds)

    def wait(self) -> None:
        """Let the time pass that a file must stand still."""
        self._clock.sleep(self._seconds)

    def _sighting(self, file: FolderFile, now: float) -> _Sighting:
        if self._sightings is None:
            since = now if self._is_recent(file) else _LONG_AGO
            return _Sighting(file.stamp, file.ctime_ns, since)
        before = self._sightings.get(file.path)
        if before is not None and (before.stamp, before.ctime_ns) == (file.stamp, file.ctime_ns):
            return before
        return _Sighting(file.stamp, file.ctime_ns, now)

    def _is_recent(self, file: FolderFile) -> bool:
        now = self._clock.wall()
        times = (file.stamp.mtime_ns, file.ctime_ns)
        return any(abs(now - changed / 1e9) <= self._seconds for changed in times)
