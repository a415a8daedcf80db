"""What a job's process says to its warden: JSON lines in a pipe."""

import json
import os
import select
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

Message = Mapping[str, Any]
"""`kind`, and what belongs to it."""

STAGE: Final = "stage"
PROGRESS: Final = "progress"
LOG: Final = "log"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
STOPPED: Final = "stopped"
ENDINGS: Final = frozenset({SUCCEEDED, FAILED, STOPPED})

_CHUNK: Final = 65_536


class Sender:
    """The job's end; messages of several threads don't mix."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._lock = Lock()

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message; it waits while the warden does not read.

        Raises:
            BrokenPipeError: If the warden is gone.
        """
        data = json.dumps({"kind": kind, **fields}).encode() + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]


class Receiver:
    """The warden's end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False
        """Whether the job's process has closed its end."""

    def receive(self, seconds: float) -> list[Message]:
        """Messages that are there, or come within some seconds; none after the end."""
        if self.ended or not select.select([self._descriptor], [], [], seconds)[0]:
            return []
        data = os.read(self._descriptor, _CHUNK)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
