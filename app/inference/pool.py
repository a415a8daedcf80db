"""Threads for inference, with a door: who doesn't get in at once is told to come back later."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from app.domain.errors import OverloadedError

P = ParamSpec("P")
T = TypeVar("T")

RETRY_AFTER_SECONDS = 1


class InferencePool:
    """Runs blocking work on threads of its own, never more than it can soon do.

    A permit is taken without waiting and given back when the work has truly ended, even if the
    caller has gone away in the meantime.

    Args:
        threads: How many calls run at the same time.
        queue_size: How many more may wait for a thread.
    """

    def __init__(self, threads: int, queue_size: int) -> None:
        self.threads = threads
        self.capacity = threads + queue_size
        self._in_flight = 0
        self._lock = Lock()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="inference")

    @property
    def in_flight(self) -> int:
        """Calls that run or wait."""
        return self._in_flight

    @property
    def queued(self) -> int:
        """Calls that wait for a thread."""
        return max(0, self._in_flight - self.threads)

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` on a thread of the pool.

        Raises:
            OverloadedError: At once, if every thread and every place in the queue is taken.
        """
        self._admit()
        try:
            work = self._executor.submit(copy_context().run, partial(fn, *args, **kwargs))
        except RuntimeError:  # the pool was closed
            self._release()
            raise OverloadedError(
                "The service is shutting down. Try again in a moment.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from None
        # Cancelling the caller cancels work that waits; work that runs keeps its permit.
        work.add_done_callback(self._release)
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Let running work end, drop waiting work, and stop the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _admit(self) -> None:
        with self._lock:
            if self._in_flight >= self.capacity:
                raise OverloadedError(
                    "The service is busy: its inference queue is full. Try again in a moment.",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            self._in_flight += 1

    def _release(self, _work: Future[Any] | None = None) -> None:
        with self._lock:
            self._in_flight -= 1
