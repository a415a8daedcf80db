"""A disk that is full while a job trains: `python -m benchmarks.full_disk_training`.

A real service and real jobs on generated photos, with models, jobs, or all data on a small disk
of their own (tmpfs, so it takes the right to mount). Exit code 1 if a job does not say that the
disk is full, the bundle that serves is not whole, or the job can't be resumed once there is room.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any, Final

from benchmarks.calls import Caller
from benchmarks.fault_places import fill, mounted
from benchmarks.server import gallery, running
from benchmarks.training_job import Job
from benchmarks.training_places import (
    SUBJECT,
    TrainingPlaces,
    enroll,
    prepared_places,
    whole_bundles,
)

ROWS: Final = {
    "checkpoint": ("training", "train"),
    "bundle": ("models", "checkpoint"),
    "report": ("training", "evaluate"),
    "everything": ("application data", "checkpoint"),
}
"""What can't be written: which disk is full, from which moment of the job on."""
_SIZE: Final = "400m"
_HELD_SECONDS: Final = 20
"""How long everything stays full: less than the end of a job is tried to be written."""


@dataclass
class Row:
    """What was seen of one full disk."""

    name: str
    seen: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def expect(self, what: str, *, holds: bool) -> None:
        """Note a problem unless something holds."""
        if not holds:
            self.problems.append(f"{self.name}: {what}")
            print(f"{self.name}: {what}", file=sys.stderr)


def tried(row: Row) -> None:
    """A job meets the full disk, and goes on when there is room again."""
    disk, moment = ROWS[row.name]
    with places_on(disk) as (places, small), running(places.application_data, places.settings) as s:
        caller = Caller(s.port)
        enroll(caller)
        job = Job(places, caller, "mine")
        early = job.wait_for(moment, caller)
        row.expect(f"{early} before {moment}", holds=early is None)
        filler = fill(small)
        if disk == "application data":
            # Nobody can write that the job has failed until there is room.
            sleep(_HELD_SECONDS)
            filler.unlink()
        found = job.wait_for_end(caller)
        error = found["error"] or {}
        row.seen.append(f"{found['state']} in {found['stage']}: {error.get('message')}")
        row.expect(f"{found['state']} {error}", holds=found["state"] == "failed")
        told = "full" in str(error.get("message")).lower() or "space" in str(error.get("message"))
        row.expect(f"the message is {error.get('message')}", holds=told)
        _expect_whole(row, places, caller, {places.base})
        filler.unlink(missing_ok=True)
        resumed = job.resume(caller)
        row.expect(f"resume: {resumed}", holds=resumed == 202)
        found = job.wait_for_end(caller)
        row.seen.append(f"resumed: {found['state']}")
        row.expect(f"resumed: {found['state']} {found['error']}", holds=_has_activated(found))
        _expect_whole(row, places, caller, {"mine"})


@contextmanager
def places_on(disk: str) -> Iterator[tuple[TrainingPlaces, Path]]:
    """Places of a service, and the small disk that a part of them lies on.

    Raises:
        NotPermittedError: If mounting is not allowed.
    """
    with gallery(0) as data, TemporaryDirectory(prefix="facetwin-training-") as name:
        folder = Path(name)
        small = {"training": data / "training", "models": folder / "model"}.get(disk, data)
        small.mkdir(parents=True, exist_ok=True)
        with mounted(small, _SIZE):
            (data / "verification_images").mkdir(exist_ok=True)
            yield prepared_places(folder, data), small


def _has_activated(found: dict[str, Any]) -> bool:
    return found["state"] == "succeeded" and bool(found["outcome"]["activated"])


def _expect_whole(row: Row, places: TrainingPlaces, caller: Caller, known: set[str]) -> None:
    for problem in whole_bundles(places, known):
        row.expect(problem, holds=False)
    answer = caller.verify(places.probe, SUBJECT)
    row.expect(f"verify: {answer.status}", holds=answer.document.get("decision") == "match")


def main() -> None:
    options = _arguments()
    started = perf_counter()
    rows = [Row(name) for name in options.only or ROWS]
    for row in rows:
        tried(row)
    problems = [each for row in rows for each in row.problems]
    document: dict[str, Any] = {"benchmark": "full_disk_training"}
    document |= {row.name: row.seen for row in rows}
    document |= {"seconds": round(perf_counter() - started, 1), "problems": problems}
    if options.json:
        print(json.dumps(document))
    else:
        for key, value in document.items():
            print(f"{key:<24} {value}")
    sys.exit(bool(problems))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=ROWS, help="what can't be written")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    if shutil.which("mount") is None:
        sys.exit("This takes the command mount.")
    main()
