"""kill -9 of a training job in every stage: `python -m benchmarks.kill_training`.

A real service, a real worker and a real job on generated photos. The job's process is killed once
in every stage and resumed each time; then, in a second job, the worker and the service. Exit code 1
if a job is not found interrupted, does not go on, gives another network than an undisturbed job, or
leaves a bundle that is half there or half active.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any, Final

from benchmarks.calls import Caller
from benchmarks.server import Server, gallery, start
from benchmarks.training_job import MOMENTS, Job
from benchmarks.training_places import (
    SUBJECT,
    TrainingPlaces,
    enroll,
    go_back,
    prepared_places,
    processes_of,
    whole_bundles,
)

NOTICED_SECONDS: Final = 10
"""Within which a dead job must be found interrupted."""
_LOOK_SECONDS: Final = 0.1


@dataclass
class Tally:
    """What happened."""

    kills: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def expect(self, what: str, *, holds: bool) -> None:
        """Note a problem unless something holds."""
        if not holds:
            self.problems.append(what)
            print(what, file=sys.stderr)


class Rounds:
    """A service that trains, and whoever kills it."""

    def __init__(self, places: TrainingPlaces, random: Random | None) -> None:
        self._places = places
        self._random = random
        self._server = self._start()
        self.tally = Tally()

    def close(self) -> None:
        """End the service."""
        self._server.stop()

    def enroll(self) -> None:
        """Enroll whom the checks verify."""
        enroll(self._caller())

    def undisturbed(self) -> dict[str, Any]:
        """A job that nobody kills; its network is what the others must give."""
        job = self._begin("undisturbed")
        started = perf_counter()
        self._finish(job)
        return {"job_seconds": round(perf_counter() - started, 1)}

    def kill_job(self) -> None:
        """Kill the process of one job in every stage."""
        job = self._begin("killed")
        for moment in MOMENTS:
            if not self._reach(job, moment):
                break
            kept = job.checkpoints
            for process in processes_of(job.job_id):
                os.kill(process, signal.SIGKILL)
            self._found_interrupted(job, f"job in {moment}")
            self._resume(job, kept, moment)
        self._finish(job)

    def kill_worker(self) -> None:
        """Kill the process that watches over the job; the job must not live on alone."""
        job = self._begin("worker-killed")
        self._reach(job, "train")
        lock = self._places.application_data / "training" / "worker.lock"
        os.kill(int(lock.read_text("ascii")), signal.SIGKILL)
        self._found_interrupted(job, "worker")
        self.tally.expect("resume was refused", holds=job.resume(self._caller()) == 202)
        self._finish(job)

    def kill_server(self) -> None:
        """Kill the service while a job trains; the job goes on, and the next service knows it."""
        job = self._begin("server-killed")
        self._reach(job, "train")
        self._server.kill()
        self._server = self._start()
        found = job.status(self._caller())
        alive = found["state"] == "running" and found["attempts"] == 1
        self.tally.expect(f"the job did not outlive the service: {found}", holds=alive)
        self.tally.kills["server in train"] = found["state"]
        self._finish(job)

    def _start(self) -> Server:
        return start(self._places.application_data, self._places.settings)

    def _caller(self) -> Caller:
        return Caller(self._server.port)

    def _begin(self, version: str) -> Job:
        return Job(self._places, self._caller(), version)

    def _reach(self, job: Job, moment: str) -> bool:
        """Wait for a moment, and in later rounds some time more."""
        ended = job.wait_for(moment, self._caller())
        if ended is not None:
            self.tally.expect(f"{ended} before {moment}", holds=False)
            return False
        if self._random:
            sleep(self._random.uniform(0, 1))
        return True

    def _found_interrupted(self, job: Job, what: str) -> None:
        deadline, caller = perf_counter() + NOTICED_SECONDS, self._caller()
        while (found := job.status(caller))["state"] == "running" and perf_counter() < deadline:
            sleep(_LOOK_SECONDS)
        self.tally.kills[what] = found["state"]
        # In later rounds a kill may come too late.
        states = {"interrupted", "succeeded"} if self._random else {"interrupted"}
        self.tally.expect(f"{what}: {found['state']}", holds=found["state"] in states)
        left = processes_of(job.job_id)
        self.tally.expect(f"{what}: processes {left} live on", holds=not left)
        self._check_models(job, what)

    def _resume(self, job: Job, kept: int, moment: str) -> None:
        caller = self._caller()
        if job.status(caller)["state"] == "succeeded":
            return
        self.tally.expect(f"{moment}: resume was refused", holds=job.resume(caller) == 202)
        if moment == "checkpoint":
            epoch = self._first_epoch(job)
            self.tally.expect(
                f"{moment}: went on in epoch {epoch} with {kept} checkpoints",
                holds=epoch is None or epoch > 1,
            )

    def _first_epoch(self, job: Job) -> int | None:
        """The epoch that the job tells of first; None if it has all epochs behind it."""
        caller = self._caller()
        while not job.has_reached("export"):
            found = job.status(caller)
            epoch = (found["progress"] or {}).get("epoch")
            if epoch is not None:
                return int(epoch)
            if found["state"] not in {"queued", "running"}:
                return None
            sleep(_LOOK_SECONDS)
        return None

    def _finish(self, job: Job) -> None:
        """Let a job end, check all that it leaves, and go back to the first model."""
        caller = self._caller()
        found = job.wait_for_end(caller)
        done = found["state"] == "succeeded" and found["outcome"]["activated"]
        self.tally.expect(f"{job.version}: {found['state']} {found['error']}", holds=done)
        self._check_models(job, f"{job.version} at its end")
        same = self._places.network_of(job.version) == self._places.network_of("undisturbed")
        self.tally.expect(f"{job.version}: another network than undisturbed", holds=same)
        self.tally.expect(f"{job.version}: checkpoints left", holds=not job.checkpoints)
        for kind in ("html", "json"):
            report = caller.get(f"/train/{job.job_id}/report?format={kind}").status
            self.tally.expect(f"{job.version}: report {kind} {report}", holds=report == 200)
        go_back(self._places, caller)

    def _check_models(self, job: Job, what: str) -> None:
        """Every bundle is whole, one of them is active, and everyone is still verified."""
        for problem in whole_bundles(self._places, {self._places.base, job.version}):
            self.tally.expect(f"{what}: {problem}", holds=False)
        answer = self._caller().verify(self._places.probe, SUBJECT)
        matches = answer.document.get("decision") == "match"
        self.tally.expect(f"{what}: verify {answer.status} {answer.document}", holds=matches)


@contextmanager
def rounds(random: Random | None) -> Iterator[Rounds]:
    """A service on photos of its own."""
    with (
        gallery(0) as data,
        TemporaryDirectory(prefix="facetwin-training-") as name,
    ):
        places = prepared_places(Path(name), data)
        running = Rounds(places, random)
        try:
            running.enroll()
            yield running
        finally:
            running.close()


def main() -> None:
    options = _arguments()
    started = perf_counter()
    document: dict[str, Any] = {"benchmark": "kill_training", "seed": options.seed}
    problems: list[str] = []
    for number in range(options.rounds):
        with rounds(Random(options.seed + number) if number else None) as running:
            document |= running.undisturbed()
            running.kill_job()
            running.kill_worker()
            running.kill_server()
            document[f"kills_of_round_{number + 1}"] = running.tally.kills
            problems += [f"round {number + 1}: {each}" for each in running.tally.problems]
    document |= {"seconds": round(perf_counter() - started, 1), "problems": problems}
    if options.json:
        print(json.dumps(document))
    else:
        for key, value in document.items():
            print(f"{key:<24} {value}")
    sys.exit(bool(problems))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=1, help="from the second on, kills come up to 1 s later"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments in later rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
