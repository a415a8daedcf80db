"""How a process that has yet to start lets itself be stopped. Imports nothing that takes time."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable_start() -> Iterator[None]:
    """Let SIGTERM end a start that takes long; as process 1 of a container it would be ignored.

    It holds until the server has handlers of its own, so that no signal falls in between.

    Raises:
        SystemExit: With 0, where the signal arrives.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
