"""Folders of a service that trains on generated photos, and what must hold of them."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final

from app.domain.errors import FacetwinError
from app.inference.bundle import active_version, load_bundle, set_active
from app.training.bundle_writer import STAGING
from app.training.job.bundle import NETWORK
from benchmarks.calls import Caller
from benchmarks.photos import PEOPLE, variant
from benchmarks.server import environment_of
from tests.pictures import encode
from tests.training.data.folders import portrait, put, shaded

SUBJECT: Final = "grace"
EPOCHS: Final = 3
_OWNERS: Final = 16
_STRANGERS: Final = 36
_PATIENCE_SECONDS: Final = 120
_SWEEP_SECONDS: Final = 10
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class TrainingPlaces:
    """Where the service's things lie.

    Attributes:
        application_data: Gallery, database and jobs.
        data: Photos to train on.
        models: Bundles.
        base: The bundle that was active first.
        probe: A photo of `SUBJECT`, who is enrolled.
    """

    application_data: Path
    data: Path
    models: Path
    base: str
    probe: bytes

    @property
    def settings(self) -> dict[str, str]:
        """Of the service; two portraits can't support strict rates."""
        return {
            "FACETWIN_DATA_DIR": str(self.data),
            "FACETWIN_MODEL_DIR": str(self.models),
            "FACETWIN_MAX_FMR": "0.1",
            "FACETWIN_RATE_LIMIT_PER_ADDRESS": "0",
            "FACETWIN_RATE_LIMIT_PER_KEY": "0",
        }

    def network_of(self, version: str) -> bytes | None:
        """The network that a version serves; None if there is none."""
        try:
            return (self.models / version / NETWORK).read_bytes()
        except FileNotFoundError:
            return None


def prepared_places(folder: Path, application_data: Path) -> TrainingPlaces:
    """Photos of the owner and of strangers, and a copy of the active bundle."""
    source = Path(environment_of(Path())["FACETWIN_MODEL_DIR"])
    base, models, data = active_version(source), folder / "model", folder / "data"
    models.mkdir(exist_ok=True)
    shutil.copytree(source / base, models / base)
    set_active(models, base)
    training_photos(data)
    return TrainingPlaces(application_data, data, models, base, variant(PEOPLE[1], 500))


def training_photos(data: Path, *, owners: int = _OWNERS, strangers: int = _STRANGERS) -> None:
    """88 photos by default: two portraits, each time bent and lit otherwise."""
    for number in range(owners):
        role = "anchor" if number % 2 else "positive"
        put(data / role, f"{number}.jpg", _photo("hopper", number))
    for number in range(strangers):
        for take in range(2):
            photo = _photo("astronaut", 1000 + 2 * number + take)
            put(data / "negative" / f"person{number}", f"{take}.jpg", photo)


def enroll(caller: Caller) -> None:
    """Enroll the owner and one of the strangers.

    Raises:
        RuntimeError: If that is refused.
    """
    for subject, person in ((SUBJECT, PEOPLE[1]), ("ann", PEOPLE[0])):
        answer = caller.enroll([variant(person, seed) for seed in (501, 502)], subject)
        if answer.status != 201:
            raise RuntimeError(f"{subject} was not enrolled: {answer.document}")


def go_back(places: TrainingPlaces, caller: Caller) -> None:
    """Have the first bundle serve again; the service may still be following to another one.

    Raises:
        RuntimeError: If it does not.
    """
    deadline = perf_counter() + _PATIENCE_SECONDS
    while {active_version(places.models), _serving(caller)} != {places.base}:
        answer = caller.call("POST", f"/models/{places.base}/activate")
        if answer.status not in {200, 202, 409} or perf_counter() > deadline:
            raise RuntimeError(f"{places.base} was not activated: {answer.document}")
        sleep(_LOOK_SECONDS)


def _serving(caller: Caller) -> str:
    return str(caller.get("/version").document["model"]["version"])


def whole_bundles(places: TrainingPlaces, known: set[str]) -> list[str]:
    """What is wrong in the model folder: half bundles, or a pointer to none.

    Args:
        places: Of the service.
        known: Versions of which one must be active.
    """
    deadline = perf_counter() + _SWEEP_SECONDS
    while list(places.models.glob(f"{STAGING}*")) and perf_counter() < deadline:
        sleep(_LOOK_SECONDS)  # the worker sweeps once it has written how the job ended
    problems = []
    for entry in sorted(places.models.iterdir()):
        if entry.name.startswith(STAGING):
            problems.append(f"{entry.name} was left")
        elif entry.is_dir():
            try:
                load_bundle(entry)
            except FacetwinError as error:
                problems.append(f"{entry.name}: {error.message}")
    active = active_version(places.models)
    return problems if active in known else [*problems, f"{active} is active"]


def processes_of(job_id: str) -> list[int]:
    """Ids of the processes that run a job."""
    return [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/cmdline") if _runs(p, job_id)]


def _runs(command_line: Path, job_id: str) -> bool:
    try:
        words = command_line.read_bytes().split(b"\0")
    except OSError:
        return False
    return b"--job" in words and job_id.encode() in words


def _photo(person: str, seed: int) -> Any:
    return encode(shaded(portrait(person, seed), seed))
