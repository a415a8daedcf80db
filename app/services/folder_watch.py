"""Follows the folder verification_images while the service runs, on a thread of its own."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Final, Protocol

from app.domain.errors import StorageError
from app.services.gallery_health import GalleryHealth, ProblemCode

_SHARE: Final = 20
"""The pause is at least this many times as long as the listing took: 5 % of a disk's time."""
_MAX_PAUSE_SECONDS: Final = 60.0
"""Unless the interval is longer; so a disk that was slow once is not left alone for long."""
_CLOSE_SECONDS: Final = 5.0
_log = logging.getLogger("facetwin.folder")


class WatchedGallery(Protocol):
    """What is watched: see `Gallery`."""

    def look(self, stopping: Callable[[], bool]) -> float:
        """Look once; seconds that listing the folder took."""

    def health(self) -> GalleryHealth:
        """What is wrong, if anything."""


class FolderWatch:
    """Looks at the folder again and again.

    Args:
        gallery: Whose folder it is; it was synchronised once.
        interval: Seconds between two looks; 0 for none.
    """

    def __init__(self, gallery: WatchedGallery, interval: float) -> None:
        self._gallery = gallery
        self._interval = interval
        self._closing = Event()
        self._thread = Thread(target=self._run, name="folder-watch", daemon=True)
        self._told: frozenset[ProblemCode] = frozenset()

    def follow(self, gallery: WatchedGallery) -> None:
        """Look on behalf of another gallery from now on; a look that is under way ends soon."""
        self._gallery = gallery

    def start(self) -> None:
        """Begin; what is wrong from the start is logged at once."""
        self._tell()
        if self._interval > 0:
            self._thread.start()

    def close(self) -> None:
        """Stop: a photo that is being looked at is finished, and what was found is recorded."""
        self._closing.set()
        if not self._thread.is_alive():
            return
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            # A disk that does not answer. Nothing is lost: the next start looks again.
            _log.warning("The folder did not answer in %g s and is left", _CLOSE_SECONDS)

    def _run(self) -> None:
        pause = self._interval
        while not self._closing.wait(pause):
            pause = max(self._interval, min(_SHARE * self._look(), _MAX_PAUSE_SECONDS))

    def _look(self) -> float:
        gallery = self._gallery
        try:
            return gallery.look(lambda: self._closing.is_set() or self._gallery is not gallery)
        except StorageError:
            # The gallery's health holds the message.
            return 0.0
        except Exception as error:  # noqa: BLE001 - the thread must go on
            # Only its type: messages of errors hold paths, and paths names of people.
            if ProblemCode.SYNC_FAILED not in self._told:
                _log.error("Following the folder failed: %s in %s", _kind(error), _place(error))
            return 0.0
        finally:
            self._tell()

    def _tell(self) -> None:
        """Log once what changed: a problem that came, or the end of all."""
        problems = self._gallery.health().degraded
        codes = frozenset(problem.code for problem in problems)
        for problem in problems:
            if problem.code not in self._told:
                _log.warning("Degraded, %s: %s", problem.code.value, problem.message)
        if self._told and not codes:
            _log.info("The gallery is not degraded any more")
        self._told = codes


def _kind(error: BaseException) -> str:
    return type(error).__name__


def _place(error: BaseException) -> str:
    """Where an error was raised: the innermost frame."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "unknown"
    return f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}"
