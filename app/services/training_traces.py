"""What training keeps of a person outside the gallery, and its erasure.

Kept are: photos that were uploaded for training, in folders of the person's name; the cache of
crops; files of jobs (checkpoints, split, reports with faces); the split beside each bundle. A
split names photos by their sha256 alone, which is enough to find whatever was made of them.

Everything here goes before the person's rows do: who meets an error in between asks again, and
still finds the person there.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.domain.errors import JobConflictError
from app.domain.training import Role
from app.storage.database import Database
from app.storage.job_erasure import alive_jobs, jobs_about, remove_jobs
from app.storage.layout import file_errors

SPLIT: Final = "split.json"
_CALIBRATION: Final = "calibration.json"


@dataclass(frozen=True, slots=True)
class TrainingPlaces:
    """Where training keeps what it keeps.

    Attributes:
        data_dir: Holds anchor/, positive/ and negative/.
        training_dir: Holds jobs/ and crops/.
        model_dir: Holds the bundles.
    """

    data_dir: Path
    training_dir: Path
    model_dir: Path

    @property
    def crops_dir(self) -> Path:
        """The cache of crops."""
        return self.training_dir / "crops"

    @property
    def jobs_dir(self) -> Path:
        """A folder for each job."""
        return self.training_dir / "jobs"


@dataclass(frozen=True, slots=True)
class TrainingRemoved:
    """What of a person was removed.

    Attributes:
        files: Photos for training, and files of jobs.
        models: Bundles that were trained on the person; they are not removed.
    """

    files: int = 0
    models: tuple[str, ...] = ()


class TrainingTraces:
    """Finds and erases what training keeps of a person."""

    def __init__(self, database: Database, places: TrainingPlaces) -> None:
        self._database = database
        self._places = places

    def erase(self, key: str, hashes: Collection[str] = ()) -> TrainingRemoved:
        """Erase all of it; asking again finds nothing more.

        Args:
            key: Of the subject.
            hashes: sha256 of the person's references, as stored and as sent.

        Raises:
            JobConflictError: If a training job waits or runs: it could write anew what is erased.
            StorageError: If something can't be deleted.
        """
        own = [folder for role in Role for folder in self._data_folders(role, key)]
        known = frozenset(hashes) | {_sha256(f) for folder in own for f in _files(folder)}
        with self._database.read_apart() as connection:
            about = jobs_about(connection, key)
            alive = alive_jobs(connection)
        touched = {*about, *self._jobs_with(known)}
        if alive and (own or touched or self._places.crops_dir.exists()):
            raise JobConflictError(
                f"The training job {alive[0]} may hold photos of this person. Cancel it first: "
                f"facetwin jobs cancel {alive[0]}",
                job_id=alive[0],
            )
        models = self._models(key, known)
        with file_errors("What training keeps of this person can't be deleted"):
            for version in models:
                _forget_photos(self._places.model_dir / version / SPLIT, known)
            folders = [*own, *(self._places.jobs_dir / job for job in sorted(touched))]
            files = sum(_remove(folder) for folder in folders)
            # Any crop may show the person; the cache is made again when it is needed.
            _remove(self._places.crops_dir)
        if about:
            with self._database.write_apart() as connection:
                remove_jobs(connection, about)
        return TrainingRemoved(files, models)

    def _data_folders(self, role: Role, key: str) -> list[Path]:
        folder = self._places.data_dir / role.value
        if not folder.is_dir():
            return []
        return [
            place
            for place in sorted(folder.iterdir())
            if place.name.casefold() == key and place.is_dir() and not place.is_symlink()
        ]

    def _jobs_with(self, hashes: Collection[str]) -> list[str]:
        """Jobs that had one of these photos, whomever they are about."""
        found = self._places.jobs_dir.glob(f"*/{SPLIT}")
        return [path.parent.name for path in found if _names_any(path, hashes)]

    def _models(self, key: str, hashes: Collection[str]) -> tuple[str, ...]:
        """Bundles that are about the person, or were trained on a photo."""
        found = []
        for calibration in sorted(self._places.model_dir.glob(f"*/{_CALIBRATION}")):
            folder = calibration.parent
            if _subject_of(calibration) == key or _names_any(folder / SPLIT, hashes):
                found.append(folder.name)
        return tuple(found)


def _subject_of(calibration: Path) -> Any:
    document = _read(calibration)
    return document.get("subject") if isinstance(document, dict) else None


def _names_any(split: Path, hashes: Collection[str]) -> bool:
    if not hashes or not split.is_file():
        return False
    text = split.read_text("utf-8", errors="replace")
    return any(sha256 in text for sha256 in hashes)


def _forget_photos(split: Path, hashes: Collection[str]) -> None:
    """Take photos off a bundle's split; the rest of it stays."""
    document = _read(split)
    if not isinstance(document, dict) or not isinstance(document.get("photos"), list):
        # Nothing that anyone can read is kept of it either.
        split.unlink(missing_ok=True)
        return
    document["photos"] = [p for p in document["photos"] if p.get("sha256") not in hashes]
    temporary = split.with_name(f".{split.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(split)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(folder: Path) -> int:
    """Delete a folder; returns how many files it held."""
    if not folder.is_dir():
        return 0
    count = sum(1 for _ in _files(folder))
    shutil.rmtree(folder)
    return count
