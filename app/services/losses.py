"""Photos that vanish: since when each is missing, and how many went at once.

A photo that a person deletes is to lose its reference within moments; a disk that fails or is
unmounted drops photos too, all in one moment or over some seconds, and must not erase anyone. So
each photo is given `seconds`, and what vanished within one window counts as one loss, also what
was removed by then. While a loss that is larger than a tenth of the references grows, nothing of
it is removed, for as long as the window: it is to be judged whole. So of a disk that fails bit by
bit a tenth is removed at most, which comes back with its photos.

All times are of the monotonic clock: the time at which a look first missed a photo.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 60.0
_SMALL: Final = 10
"""One in so many references may go at its own pace."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is missing at one look.

    Attributes:
        missing: Paths of references without a photo.
        ripe: Those that are missing for long enough to be removed, if all are to be.
        is_growing: Whether the loss is large and still grows.
        overdue: Those of `ripe` that may be removed although it grows.
        is_mass: Whether more than half of the references went within one window.
    """

    missing: frozenset[str]
    ripe: frozenset[str]
    is_growing: bool
    overdue: frozenset[str]
    is_mass: bool

    def removable(self, *, accept: bool) -> frozenset[str]:
        """What may be removed now; `accept` says that all of it is gone for good."""
        return self.overdue if self.is_growing and not accept else self.ripe


class Losses:
    """Remembers what this process has seen vanish.

    Args:
        seconds: How long a photo must be missing.
        monotonic: Tells the time.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._missing: dict[str, float] = {}
        self._removed: dict[str, float] = {}

    def seen(self, missing: frozenset[str], known: Collection[str]) -> Loss:
        """Take note of a look.

        Args:
            missing: Paths of references whose photos are not there.
            known: Paths of all references.
        """
        now = self._monotonic()
        self._missing = {path: self._missing.get(path, now) for path in missing}
        self._removed = {
            path: since
            for path, since in self._removed.items()
            if now - since < WINDOW_SECONDS and path not in known
        }
        lost, total = len(missing) + len(self._removed), len(known) + len(self._removed)
        is_large = lost * _SMALL > total
        is_quiet = all(now - since >= self._seconds for since in self._missing.values())
        return Loss(
            missing,
            self._older_than(self._seconds, now),
            is_growing=is_large and not is_quiet,
            overdue=self._older_than(max(self._seconds, WINDOW_SECONDS), now),
            is_mass=bool(missing) and 2 * lost > total,
        )

    def removed(self, paths: Collection[str]) -> None:
        """Take note of references that were removed because their photos are gone."""
        self._removed |= {path: self._missing[path] for path in paths if path in self._missing}

    def _older_than(self, seconds: float, now: float) -> frozenset[str]:
        return frozenset(p for p, since in self._missing.items() if now - since >= seconds)
