"""Checkpoints of a training that may be killed at any point."""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

KEPT: Final = 2
"""So that there is one to go on from should the last turn out damaged."""

_STATE: Final = "state.json"
_PREFIX: Final = "step-"
_WRITING: Final = ".writing.npz"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a training needs to go on as if it had never stopped.

    Attributes:
        step: Steps done.
        arrays: Weights and the optimizer's state by name.
        state: The rest, as JSON has it.
    """

    step: int
    arrays: dict[str, NDArray[Any]]
    state: dict[str, Any]


class Checkpoints:
    """A folder with the last checkpoints of one training, each an .npz file without pickles.

    A file appears under its name only when it is whole and on the disk, so a process may die, and
    a disk may fill up, while one is written.

    Args:
        folder: Made when the first checkpoint is saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, step: int, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Write a checkpoint, and remove all but the last `KEPT`.

        Args:
            step: Steps done; one of the same step is replaced.
            arrays: NumPy arrays, or what becomes one; each is taken when it is written.
            state: What JSON can hold.

        Raises:
            OSError: If the disk is full or the folder can't be written; earlier ones stay.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        writing = self._folder / _WRITING
        try:
            with writing.open("wb") as file:
                _write(file, arrays, state)
                file.flush()
                os.fsync(file.fileno())
            writing.replace(self._folder / f"{_PREFIX}{step:09d}.npz")
        finally:
            writing.unlink(missing_ok=True)
        self._flush()
        for old in self._files()[KEPT:]:
            old.unlink()

    def clear(self) -> None:
        """Remove all: those of another training would outlive the ones that are saved from now."""
        for old in self._files():
            old.unlink()

    def latest(self) -> Checkpoint | None:
        """The last checkpoint, or None; damaged ones are passed over.

        Raises:
            OSError: If the disk can't be read.
        """
        return next((found for path in self._files() if (found := _read(path))), None)

    def _files(self) -> list[Path]:
        """The last one first."""
        return sorted(self._folder.glob(f"{_PREFIX}*.npz"), reverse=True)

    def _flush(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write(file: Any, arrays: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """As `np.savez` does, but one array after the other, so that copies do not add up."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_STATE, json.dumps(dict(state), allow_nan=False))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _read(path: Path) -> Checkpoint | None:
    try:
        with zipfile.ZipFile(path) as archive:
            state = json.loads(archive.read(_STATE))
            arrays = dict(_arrays(archive))
        return Checkpoint(int(path.stem.removeprefix(_PREFIX)), arrays, state)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _arrays(archive: zipfile.ZipFile) -> Iterator[tuple[str, NDArray[Any]]]:
    """All arrays; reading a member to its end checks its CRC."""
    for name in archive.namelist():
        if name != _STATE:
            with archive.open(name) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
                if member.read(1):
                    raise ValueError(f"{name} is longer than its array")
            yield name.removesuffix(".npy"), array
