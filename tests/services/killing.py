"""Child processes that are killed in the middle of a change.

The process that uses this must have a single thread, as it forks. The child kills itself when it
reaches a given line of the storage and the services, or it is killed after a given time, which
may be inside of SQLite or of the kernel.
"""

import os
import select
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any, Final

from tests.services.kill_changes import Change
from tests.services.kill_checks import image_ids, open_session, problems_of, synchronise

_APP: Final = Path(__file__).parents[2] / "app"
WATCHED: Final = (f"{_APP / 'storage'}{os.sep}", f"{_APP / 'services'}{os.sep}")
"""Lines of these packages are counted."""
_BEGUN, _DONE = b"b", b"d"


@dataclass(frozen=True)
class Kill:
    """When a child ends: at a line, after some seconds, or with neither, not before its time."""

    line: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Life:
    """What a child did until it ended.

    Attributes:
        killed: Whether it was.
        acknowledged: Steps that had returned.
        lines: Counted lines, if it was not killed and lines were counted.
        seconds: From the beginning of the change to its end.
    """

    killed: bool
    acknowledged: int
    lines: int
    seconds: float


def live(root: Path, change: Change, kill: Kill) -> Life:
    """Fork a child that makes the change.

    Raises:
        RuntimeError: If the child fails by itself.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(root, change, kill, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as messages:
        begun = messages.read(1)
        started = perf_counter()
        if kill.seconds is not None and begun:
            _kill_after(child, kill.seconds)
        heard = messages.read()
    seconds = perf_counter() - started
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if status != 0 and not killed:
        raise RuntimeError(f"the child failed in {change.name!r}")
    done, _, lines = heard.partition(b" ")
    return Life(killed, done.count(_DONE), int(lines or 0), seconds)


def _kill_after(child: int, seconds: float) -> None:
    """Wait for the child to end, but no longer than that."""
    descriptor = os.pidfd_open(child)
    try:
        if not select.select([descriptor], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(descriptor)


def kill_once(base: Path, work: Path, change: Change, kills: list[Kill]) -> tuple[Life, list[str]]:
    """Kill a child in a change, perhaps others in the repair after it, and check what is left.

    Args:
        base: A gallery to begin with; it stays as it is.
        work: Where to make the copy that the child gets; replaced if it is there.
        change: What the child does.
        kills: When the child ends, and when those end that open the gallery after it.

    Returns:
        The life of the first child, and what is wrong afterwards.
    """
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
    change.prepare(work)
    old = image_ids(work)
    life = live(work, change, kills[0])
    repair = Change(
        "repair",
        [synchronise],
        [],
        opening=True,
        fingerprint=change.fingerprint,
        key=change.key,
    )
    for kill in kills[1:]:
        live(work, repair, kill)
    allowed = change.states[life.acknowledged : life.acknowledged + 2]
    return life, problems_of(work, allowed, change.fingerprint, old, change.key)


def _be_child(root: Path, change: Change, kill: Kill, writer: int) -> None:
    """Make the change and end the process, whatever happens."""
    try:
        _make(root, change, kill, writer)
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's work
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _make(root: Path, change: Change, kill: Kill, writer: int) -> None:
    session = None if change.opening else open_session(root, change.fingerprint, change.key)
    os.write(writer, _BEGUN)
    lines = count(1)
    if kill.seconds is None:
        _count_lines(lines, kill.line)
    session = session or open_session(root, change.fingerprint, change.key)
    for step in change.steps:
        step(session)
        os.write(writer, _DONE)
    session.audit.close()
    session.database.close()
    os.write(writer, b" %d" % next(lines))


def _count_lines(lines: "count[int]", last: int | None) -> None:
    """Count each line before it runs, in all threads; kill this process at the last one."""

    def local(_frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        if event == "line" and next(lines) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return local

    def trace(frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        return local if frame.f_code.co_filename.startswith(WATCHED) else None

    threading.settrace(trace)
    sys.settrace(trace)
