"""What training keeps of a person outside the gallery, and where it lies.

Kept are: photos for training, in folders of the person's name; the cache of crops; files of jobs
(checkpoints, split, reports with faces) and bundles that were being written; the split beside each
bundle. A split names photos by their sha256 alone, reports name them by their paths; that is enough
to find whatever was made of them. Photos that lie in no folder of a name are known to be a person's
by the jobs and bundles about the person, whose splits tell which photos showed whom.
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
_OWN: Final = frozenset({Role.ANCHOR.value, Role.POSITIVE.value})
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
        splits: Those beside bundles that name a photo of the person, or may.
        half_deleted: Bundles about the person, or trained on a photo, that were half deleted.
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


def search(
    places: TrainingPlaces, key: str, hashes: Collection[str], jobs: Collection[str] = ()
) -> TrainingFound:
    """Look for all that is kept of a person, but for rows of the database.

    Args:
        places: Where to look.
        key: Of the subject.
        hashes: sha256 of other photos of the person.
        jobs: Ids of the jobs about the person.

    Raises:
        OSError: If something can't be read.
    """
    folders = [(role, folder) for role in Role for folder in _own_folders(places, role, key)]
    photos = [photo for _, folder in folders for photo in files_in(folder)]
    about = {c.parent for c in places.model_dir.glob(f"*/{_CALIBRATION}") if _subject_of(c) == key}
    trained = [folder / SPLIT for folder in (*about, *(places.jobs_dir / job for job in jobs))]
    known = frozenset(hashes).union(
        (_sha256(photo) for photo in photos if not photo.is_symlink()),
        *(_owners_photos(split) or () for split in trained),
    )
    phrases = tuple(f"{role.value}/{folder.name}/" for role, folder in folders)
    # What can't be read may name any photo of the owner.
    unreadable = {s.parent for s in trained if s.is_file() and _owners_photos(s) is None}
    with_photos = {s.parent for s in places.model_dir.glob(f"*/{SPLIT}") if known & _photos_of(s)}
    bundles = sorted(with_photos | (about & unreadable))
    whole = [bundle for bundle in bundles if not bundle.name.startswith(".")]
    half = [b for b in sorted(with_photos | about) if b.name.startswith(_HALF_DELETED)]
    named = {bundle.name for bundle in about if not bundle.name.startswith(".")}
    return TrainingFound(
        folders=tuple(folder for _, folder in folders),
        hashes=known,
        phrases=phrases,
        jobs=frozenset(_jobs_with(places, known, phrases)),
        splits=tuple(bundle / SPLIT for bundle in whole),
        half_deleted=tuple(half),
        models=frozenset(named | {bundle.name for bundle in whole}),
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


def _owners_photos(split: Path) -> set[str] | None:
    """sha256 of the photos that a split takes for the owner's; None if it can't be read."""
    document = read_json(split)
    photos = document.get("photos") if isinstance(document, dict) else None
    if not isinstance(photos, list) or not all(isinstance(photo, dict) for photo in photos):
        return None
    return {str(photo.get("sha256")) for photo in photos if photo.get("role") in _OWN}


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
