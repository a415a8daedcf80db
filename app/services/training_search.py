"""What training keeps of a person outside the gallery, and where it lies.

Kept are: photos for training, in folders of the person's name; the cache of crops; files of jobs
(checkpoints, split, reports with faces) and bundles that were being written; the split beside each
bundle. A split names photos by their sha256 alone, reports name them by their paths; that is enough
to find whatever was made of them.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.domain.training import Role

SPLIT: Final = "split.json"
_STATE: Final = "state.json"
_REPORT: Final = "report.json"
_CALIBRATION: Final = "calibration.json"
_BUILDING: Final = ".building-"
_HALF_DELETED: Final = ".deleted-"
_LOG: Final = "worker.log"
_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TrainingPlaces:
    """Where training keeps what it keeps.

    Attributes:
        data_dir: Holds anchor/, positive/ and negative/.
        training_dir: Holds jobs/, crops/ and the log of what jobs print.
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

    @property
    def log(self) -> Path:
        """What the processes of jobs print."""
        return self.training_dir / _LOG

    def draft_of(self, job_id: str) -> Path | None:
        """The bundle that a job was writing; None if it had not come that far."""
        state = read_json(self.jobs_dir / job_id / _STATE)
        version = state.get("version") if isinstance(state, dict) else None
        return self.model_dir / f"{_BUILDING}{version}" if isinstance(version, str) else None


@dataclass(frozen=True, slots=True)
class TrainingFound:
    """What was found of a person.

    Attributes:
        folders: With photos for training of the person; one may be a link.
        hashes: sha256 of the person's photos.
        phrases: How reports and logs begin the names of these photos.
        jobs: Jobs about others whose files hold something of the person.
        splits: Those beside bundles that name a photo of the person.
        half_deleted: Bundles that were trained on a photo, and whose deletion was interrupted.
        models: Bundles that are about the person, or were trained on a photo.
        has_crops: Whether the cache holds a crop of a photo of the person.
        is_logged: Whether the log of what jobs print names a photo of the person.
        files: Photos for training, and links in their place.
    """

    folders: tuple[Path, ...]
    hashes: frozenset[str]
    phrases: tuple[str, ...]
    jobs: frozenset[str]
    splits: tuple[Path, ...]
    half_deleted: tuple[Path, ...]
    models: frozenset[str]
    has_crops: bool
    is_logged: bool
    files: int

    @property
    def is_something(self) -> bool:
        """Whether there is anything to erase; models are not erased."""
        kept = self.folders or self.jobs or self.splits or self.half_deleted
        return bool(kept) or self.has_crops or self.is_logged


def search(places: TrainingPlaces, key: str, hashes: Collection[str]) -> TrainingFound:
    """Look for all that is kept of a person, but for rows of the database.

    Args:
        places: Where to look.
        key: Of the subject.
        hashes: sha256 of other photos of the person.

    Raises:
        OSError: If something can't be read.
    """
    folders = [(role, folder) for role in Role for folder in _own_folders(places, role, key)]
    photos = [photo for _, folder in folders for photo in files_in(folder)]
    known = frozenset(hashes) | {_sha256(photo) for photo in photos if not photo.is_symlink()}
    phrases = tuple(f"{role.value}/{folder.name}/" for role, folder in folders)
    splits = [s for s in places.model_dir.glob(f"*/{SPLIT}") if known & _photos_of(s)]
    whole = tuple(split for split in splits if not split.parent.name.startswith("."))
    half = (s.parent for s in splits if s.parent.name.startswith(_HALF_DELETED))
    about = {
        calibration.parent.name
        for calibration in places.model_dir.glob(f"[!.]*/{_CALIBRATION}")
        if _subject_of(calibration) == key
    }
    return TrainingFound(
        folders=tuple(folder for _, folder in folders),
        hashes=known,
        phrases=phrases,
        jobs=frozenset(_jobs_with(places, known, phrases)),
        splits=whole,
        half_deleted=tuple(half),
        models=frozenset(about | {split.parent.name for split in whole}),
        has_crops=any(known.intersection(_SHA256.findall(crop)) for crop in _crops(places)),
        is_logged=_names_any(places.log, phrases),
        files=len(photos),
    )


def files_in(folder: Path) -> Iterator[Path]:
    """All files at any depth, links too; a folder that is a link itself is the only one."""
    if folder.is_symlink():
        return iter((folder,))
    return (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def read_json(path: Path) -> Any:
    """The content of a JSON file; None if it is not there or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _own_folders(places: TrainingPlaces, role: Role, key: str) -> list[Path]:
    folder = places.data_dir / role.value
    if not folder.is_dir():
        return []
    own = (place for place in sorted(folder.iterdir()) if place.name.casefold() == key)
    return [place for place in own if place.is_symlink() or place.is_dir()]


def _jobs_with(
    places: TrainingPlaces, hashes: frozenset[str], phrases: Collection[str]
) -> Iterator[str]:
    """Jobs that had one of these photos, whomever they are about."""
    for folder in places.jobs_dir.glob("*"):
        if hashes & _photos_of(folder / SPLIT) or _names_any(folder / _REPORT, phrases):
            yield folder.name


def _crops(places: TrainingPlaces) -> Iterator[str]:
    return (crop.name for crop in places.crops_dir.glob("*/*"))


def _subject_of(calibration: Path) -> Any:
    document = read_json(calibration)
    return document.get("subject") if isinstance(document, dict) else None


def _photos_of(split: Path) -> set[str]:
    """sha256 of the photos that a split names, also if it is damaged."""
    return set(_SHA256.findall(_text(split)))


def _names_any(file: Path, words: Collection[str]) -> bool:
    """Whether a file holds one of these, in any spelling."""
    text = _text(file).casefold() if words else ""
    return any(word.casefold() in text for word in words)


def _text(file: Path) -> str:
    return file.read_text("utf-8", errors="replace") if file.is_file() else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
