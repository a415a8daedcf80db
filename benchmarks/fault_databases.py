"""Databases that are locked, damaged or used twice."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Final

from benchmarks.fault_places import Base, copied, fresh_enrolment
from benchmarks.fault_rows import SETTINGS, SYNCS_SECONDS, Row
from benchmarks.server import running

_HOLD_LOCK: Final = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(600)
"""


def locked_database(row: Row, base: Base) -> None:
    with copied(base) as folder, running(folder, SETTINGS) as server:
        with holding_lock(folder):
            row.expect_match(server)
            started = perf_counter()
            row.expect("enroll", fresh_enrolment(server, 500), 503, "locked")
            row.seen.append(f"after {perf_counter() - started:.1f} s")
        row.expect_recovery(server, base, folder)


def locked_at_start(row: Row, base: Base) -> None:
    with copied(base) as folder:
        with holding_lock(folder):
            row.expect_refusal(folder, "locked")
        with running(folder, SETTINGS) as server:
            row.expect_recovery(server, base, folder)


def damaged_header(row: Row, base: Base) -> None:
    _damage(row, base, lambda content: Random(0).randbytes(100) + content[100:], "not a database")


def damaged_middle(row: Row, base: Base) -> None:
    _damage(row, base, _spoil_middle, "damaged")


def truncated(row: Row, base: Base) -> None:
    _damage(row, base, lambda content: content[: len(content) // 2], "damaged")


def _damage(row: Row, base: Base, spoil: Callable[[bytes], bytes], words: str) -> None:
    with copied(base) as folder:
        database = folder / "facetwin.sqlite"
        whole = database.read_bytes()
        database.write_bytes(spoil(whole))
        spoiled = database.read_bytes()
        row.expect_refusal(folder, words)
        if database.read_bytes() != spoiled:
            row.problems.append("the damaged database was changed")
        database.write_bytes(whole)
        with running(folder, SETTINGS) as server:
            row.expect_recovery(server, base, folder)


def _spoil_middle(content: bytes) -> bytes:
    """All pages but the first eighth become noise."""
    start = len(content) // 8 // 4096 * 4096
    return content[:start] + Random(0).randbytes(len(content) - start)


def damaged_while_running(row: Row, base: Base) -> None:
    with copied(base) as folder:
        database = folder / "facetwin.sqlite"
        whole = database.read_bytes()
        with running(folder, SETTINGS) as server:
            _overwrite(database, _spoil_middle(whole))
            row.expect("enroll", fresh_enrolment(server, 500), 503, "damaged")
        for log in folder.glob("facetwin.sqlite-*"):
            log.unlink()
        database.write_bytes(whole)
        with running(folder, SETTINGS) as server:
            row.expect_recovery(server, base, folder)


def _overwrite(place: Path, content: bytes) -> None:
    """In place: a file that shrinks under its reader is another fault."""
    with place.open("r+b") as file:
        file.write(content)


def second_server(row: Row, base: Base) -> None:
    with copied(base) as folder, running(folder, SETTINGS) as server:
        row.expect_refusal(folder, "already serves")
        row.expect_recovery(server, base, folder)


def second_server_elsewhere(row: Row, base: Base) -> None:
    with copied(base) as folder, TemporaryDirectory() as other, running(folder, SETTINGS) as server:
        url = f"sqlite:///{folder / 'facetwin.sqlite'}"
        row.expect_refusal(Path(other), "already serves", FACETWIN_DATABASE_URL=url)
        sleep(SYNCS_SECONDS)
        row.expect_recovery(server, base, folder)


@contextmanager
def holding_lock(folder: Path) -> Iterator[None]:
    """Another process is in the middle of writing."""
    words = [sys.executable, "-c", _HOLD_LOCK, str(folder / "facetwin.sqlite")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()
