"""Which bundle is to serve next, so that a photo enrolled meanwhile is embedded under both.

An activation announces the coming pipeline, waits for the enrolments that began before, and then
embeds whatever they left. Enrolments that begin later store both embeddings in one transaction, so
nothing is missing when the coming pipeline takes over. An enrolment that captured the pipeline
before and begins or ends only then has both, too: what was announced stays so.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final

from app.domain.ports import FacePipeline

_TICK_SECONDS: Final = 0.1


class Succession:
    """Shared by the enrolments under all bundles of a process; safe to use from many threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._coming: FacePipeline | None = None
        self._generation = 0
        self._running: Counter[int] = Counter()

    @contextmanager
    def enrolling(self) -> Iterator[FacePipeline | None]:
        """While an enrolment is at work; gives the pipeline that was announced last."""
        with self._changed:
            generation, coming = self._generation, self._coming
            self._running[generation] += 1
        try:
            yield coming
        finally:
            with self._changed:
                self._running[generation] -= 1
                self._changed.notify_all()

    def announce(self, pipeline: FacePipeline) -> None:
        """Have what is enrolled from now on embedded by this pipeline too."""
        with self._changed:
            self._coming = pipeline
            self._generation += 1

    def wait(self, stopping: Callable[[], bool]) -> None:
        """Until all enrolments have ended that began before the latest `announce`.

        Args:
            stopping: Asked now and then; ends the waiting.
        """
        with self._changed:
            while self._has_earlier() and not stopping():
                self._changed.wait(_TICK_SECONDS)

    def _has_earlier(self) -> bool:
        # An unary plus drops the generations that nobody is of any more.
        self._running = +self._running
        return any(generation < self._generation for generation in self._running)
