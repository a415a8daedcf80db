"""The count of references for /readyz, which anyone may ask as often as they like."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from anyio import CapacityLimiter, to_thread

FRESH_SECONDS: Final = 1.0


class ReadyCount:
    """Asks the gallery at most once a second, one question at a time, on a thread of its own.

    A failure is as good an answer as a count, and kept for as long.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[int] | None = None
        self._asked_of = ""
        self._thread = CapacityLimiter(1)

    async def get(self, count: Callable[[], int], of: str = "") -> int:
        """The latest count.

        Args:
            count: Asks the gallery.
            of: Fingerprint of what is counted; the count of another one is never the answer.

        Raises:
            StorageError: If the database can't be read.
        """
        is_old = self._clock() - self._asked_at >= FRESH_SECONDS
        is_other = of != self._asked_of
        if self._asking is None or is_other or (self._asking.done() and is_old):
            self._asked_at, self._asked_of = self._clock(), of
            self._asking = asyncio.create_task(to_thread.run_sync(count, limiter=self._thread))
        # A caller who leaves must not take the answer from the others.
        return await asyncio.shield(self._asking)
