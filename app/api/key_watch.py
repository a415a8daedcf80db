"""Keeps a key ring fresh without holding up the event loop."""

import asyncio
from collections.abc import Callable
from typing import Final

from anyio import CapacityLimiter, to_thread

from app.services.key_ring import KeyRing

_PATIENCE_SECONDS: Final = 1.0
"""How long a request waits for the database before it goes by the keys that are known."""


class KeyWatch:
    """Reads the table of keys on a thread when that is due, once for all requests that wait.

    Requests wait for it, so that a key that was revoked while nobody called opens no more.
    """

    def __init__(self) -> None:
        self._reading: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None
        # Threads of their own: others may all be busy with a slow database.
        self._threads = CapacityLimiter(2)

    async def freshen(self, ring: KeyRing) -> None:
        """Read the table if that is due; note uses if that is, without waiting for it."""
        if ring.is_due:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._run(ring.refresh))
            done, _ = await asyncio.wait({self._reading}, timeout=_PATIENCE_SECONDS)
            for task in done:
                task.result()
        if ring.has_uses and (self._noting is None or self._noting.done()):
            self._noting = asyncio.create_task(self._run(ring.note_uses))

    async def _run(self, work: Callable[[], None]) -> None:
        await to_thread.run_sync(work, limiter=self._threads)
