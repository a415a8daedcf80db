"""One training job of a running service, as a client and the disk know it."""

import json
from collections.abc import Callable, Mapping
from time import perf_counter, sleep
from typing import Any, Final

from app.training.job.memory import CHECKPOINTS, read_json
from benchmarks.calls import Caller
from benchmarks.training_places import EPOCHS, SUBJECT, TrainingPlaces

MOMENTS: Final = (
    "check",
    "train",
    "checkpoint",
    "export",
    "evaluate",
    "gate",
    "publish",
    "activate",
)
"""Of a job, in their order; each is told by the files that it writes."""
JOB_SECONDS: Final = 1800
_POLL_SECONDS: Final = 0.002
_LOOK_SECONDS: Final = 0.1
_JSON: Final = {"Content-Type": "application/json"}


class Job:
    """One job of the service, as a client and the disk know it."""

    def __init__(self, places: TrainingPlaces, caller: Caller, version: str) -> None:
        asked = {
            "subject": SUBJECT,
            "version": version,
            "activate": "always",
            "epochs": EPOCHS,
        }
        answer = caller.call("POST", "/train", json.dumps(asked).encode(), _JSON)
        if answer.status != 202:
            raise RuntimeError(f"training was refused: {answer.document}")
        self.job_id, self.version = str(answer.document["job_id"]), version
        self._places = places
        self.folder = places.application_data / "training" / "jobs" / self.job_id

    def status(self, caller: Caller) -> dict[str, Any]:
        """What GET /train/{id} answers."""
        return caller.get(f"/train/{self.job_id}").document

    def resume(self, caller: Caller) -> int:
        """Status of the answer."""
        return caller.call("POST", f"/train/{self.job_id}/resume").status

    def has_reached(self, moment: str) -> bool:
        """Whether the job is at a moment of `MOMENTS`."""
        draft = self._places.models / f".building-{self.version}"
        reached: Mapping[str, Callable[[], bool]] = {
            "check": (self.folder / "state.json").exists,
            "train": (self.folder / "split.json").exists,
            "checkpoint": lambda: self.checkpoints > 0,
            "export": draft.exists,
            "evaluate": (draft / "golden.json").exists,
            "gate": (draft / "model_card.md").exists,
            "publish": lambda: bool((read_json(self.folder / "state.json") or {}).get("decision")),
            "activate": (self._places.models / self.version).exists,
        }
        return reached[moment]()

    @property
    def checkpoints(self) -> int:
        """How many are kept."""
        return sum(1 for _ in (self.folder / CHECKPOINTS).glob("step-*.npz"))

    def wait_for(self, moment: str, caller: Caller) -> str | None:
        """Wait for a moment of `MOMENTS`; returns the job's state if it ended before it."""
        deadline, next_look = perf_counter() + JOB_SECONDS, 0.0
        while not self.has_reached(moment):
            now = perf_counter()
            if now >= next_look:
                next_look = now + _LOOK_SECONDS
                state = str(self.status(caller)["state"])
                if state not in {"queued", "running"} or now > deadline:
                    return state
            sleep(_POLL_SECONDS)
        return None

    def wait_for_end(self, caller: Caller) -> dict[str, Any]:
        """The job once it has ended, or after `JOB_SECONDS`."""
        deadline = perf_counter() + JOB_SECONDS
        while (found := self.status(caller))["state"] in {"queued", "running"}:
            if perf_counter() > deadline:
                break
            sleep(_LOOK_SECONDS)
        return found
