"""The monitor of a job, in the job's own process."""

import time
from collections.abc import Callable
from typing import Final

from app.domain.clock import utc_now
from app.domain.training import JobStoppedError, Stage
from app.worker.channel import LOG, PROGRESS, STAGE, Sender

INTERVAL_SECONDS: Final = 0.25
"""Between two reports; the last step and what begins anew is always told."""


class ChannelMonitor:
    """Tells the warden how far the job is; implements `app.domain.training.Monitor`.

    Args:
        sender: To the warden.
        stopping: Whether the job shall stop.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        sender: Sender,
        stopping: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._stopping = stopping
        self._clock = clock
        self._sent_at = float("-inf")
        self._counted: tuple[object, ...] = ()

    def stage(self, stage: Stage) -> None:
        """A stage begins."""
        self._counted = ()
        self._sender.send(STAGE, stage=stage.value)
        self._raise_if_stopping()

    def progress(
        self,
        done: int,
        total: int,
        *,
        what: str | None = None,
        epoch: int | None = None,
        loss: float | None = None,
    ) -> None:
        """`done` of `total` steps of the stage."""
        counted = (what, total, epoch)
        now = self._clock()
        if counted != self._counted or done >= total or now - self._sent_at >= INTERVAL_SECONDS:
            self._counted, self._sent_at = counted, now
            self._sender.send(
                PROGRESS,
                done=int(done),
                total=int(total),
                what=what,
                epoch=None if epoch is None else int(epoch),
                loss=None if loss is None else float(loss),
            )
        self._raise_if_stopping()

    def log(self, message: str) -> None:
        """A line for the job's log."""
        self._sender.send(LOG, at=utc_now(), message=message)

    def _raise_if_stopping(self) -> None:
        if self._stopping():
            raise JobStoppedError
