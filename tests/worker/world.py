"""An owner's jobs, and the processes that run them."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from app.domain.audit import COMMAND as ACTOR
from app.domain.signing import ServiceKey
from app.domain.training import JobState, TrainingOptions
from app.domain.training_jobs import JobRecord
from app.services.audit import AuditLog
from app.services.training_jobs import TrainingJobs, job_folder
from app.settings import Settings
from app.storage.database import Database
from app.worker.handover import write_handover
from app.worker.lock import WorkerLock
from app.worker.supervisor import Supervisor
from tests.worker.runner import CHECKPOINT, COMMAND, STEPS, Script

PATIENCE = 600.0
"""Far more than anything here takes; only a hang gets there."""
ROOT = Path(__file__).parents[2]


class TrainingWorld:
    """One installation in a folder; its settings come from nowhere but here."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.settings = Settings(
            application_data_dir=root / "application_data",
            data_dir=root / "data",
            model_dir=root / "model",
            inference_threads=1,
            training_threads=1,
            log_format="json",
            **settings,
        )
        self.settings.model_dir.mkdir(exist_ok=True)
        self.database = Database(self.settings.database_url)
        self.database.migrate()
        self.audit = AuditLog(self.database, ServiceKey(b"a service key for tests only, 32+"))
        self.jobs = TrainingJobs(
            self.database,
            self.audit,
            self.settings.training_dir,
            self.settings.model_dir,
            installed=lambda: True,
        )
        self.lock = WorkerLock(self.settings.training_dir)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._supervisors: list[Supervisor] = []

    def supervisor(self, **options: Any) -> Supervisor:
        supervisor = Supervisor(self.settings, self.database, command=COMMAND, **options)
        self._supervisors.append(supervisor)
        return supervisor

    def script(self, **script: Any) -> None:
        Script(**script).write(self.settings.data_dir)

    def submit(self, **options: Any) -> str:
        return self.jobs.submit(TrainingOptions(**options), ACTOR).job_id

    def cancel(self, job_id: str) -> JobRecord:
        return self.jobs.cancel(job_id, ACTOR)

    def resume(self, job_id: str) -> JobRecord:
        return self.jobs.resume(job_id, ACTOR)

    def start(self) -> subprocess.Popen[bytes]:
        """Start a warden, as a supervisor does."""
        worker = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, cwd=ROOT)
        assert worker.stdin
        with worker.stdin as given:
            given.write(write_handover(self.settings))
        self._workers.append(worker)
        return worker

    def run(self) -> None:
        """Run all queued jobs to their end."""
        assert self.start().wait(PATIENCE) == 0

    def state(self, job_id: str) -> JobState:
        return self.jobs.get(job_id).state

    def wait_for(self, job_id: str, *states: JobState) -> JobRecord:
        wait_until(lambda: self.state(job_id) in states)
        return self.jobs.get(job_id)

    def wait_for_step(self, job_id: str, step: int) -> None:
        wait_until(lambda: self.checkpoint(job_id) >= step)

    def folder(self, job_id: str) -> Path:
        return job_folder(self.settings.training_dir, job_id)

    def checkpoint(self, job_id: str) -> int:
        try:
            return int((self.folder(job_id) / CHECKPOINT).read_text("ascii"))
        except FileNotFoundError:
            return 0

    def steps(self, job_id: str) -> list[int]:
        """All steps that were ever taken, in their order."""
        return [int(s) for s in (self.folder(job_id) / STEPS).read_text("ascii").split()]

    def messages(self, job_id: str) -> list[str]:
        return [line.message for line in self.jobs.log(job_id)]

    def job_pid(self, job_id: str, attempt: int = 1) -> int:
        """Process id of a job that has said its first word in this attempt."""

        def said() -> list[str]:
            return [m for m in self.messages(job_id) if " references, " in m]

        wait_until(lambda: len(said()) >= attempt)
        return int(said()[-1].split(", ")[1])

    def open_gate(self) -> None:
        (self.settings.data_dir / "gate").touch()

    def output(self) -> str:
        return (self.settings.training_dir / "worker.log").read_text("utf-8")

    def close(self) -> None:
        for supervisor in self._supervisors:
            supervisor._closing.set()
        end_worker(self.lock)
        for supervisor in self._supervisors:
            supervisor.close()
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self.audit.close()
        self.database.close()


def end_worker(lock: WorkerLock) -> None:
    """Kill the worker, if there is one, and wait until nothing of it runs any more."""
    holder = lock.holder()
    if holder is not None:
        with suppress(ProcessLookupError):
            os.kill(holder, signal.SIGKILL)
    wait_until(lambda: lock.holder() is None)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        sleep(0.02)


def is_gone(process_id: int) -> bool:
    """Whether a process has ended, be it waited for or not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text("ascii").rpartition(")")[2].split()[
            0
        ] in {
            "Z",
            "X",
        }
    except OSError:
        return True


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
