"""The CSV file of `facetwin evaluate pairs`: header `a,b,same`, paths relative to a root."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import InvalidRequestError
from app.training.datasets import LabelledImage
from app.training.evaluation.curves import Indices

HEADER: Final = ["a", "b", "same"]
_SAME: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class ListedPair:
    """A line of the file."""

    line: int
    a: Path
    b: Path
    same: bool


@dataclass(frozen=True, slots=True)
class PairList:
    """Listed pairs over distinct photos.

    Attributes:
        images: Each photo once. Photos that genuine pairs link, directly or over others, are of
            one identity; a photo in impostor pairs alone is an identity of its own.
        first: Row of photo a in `images`, shape (n,).
        second: Row of photo b, shape (n,).
        same: Whether the pair is genuine, shape (n,).
    """

    images: tuple[LabelledImage, ...]
    first: Indices
    second: Indices
    same: NDArray[np.bool_]


def read_pair_list(path: Path, root: Path) -> PairList:
    """Read the file.

    Args:
        path: The CSV file.
        root: Folder that its paths are relative to, without links in its own path.

    Raises:
        InvalidRequestError: If it can't be read, a line is malformed, a photo is missing or lies
            outside `root`, labels contradict each other, or a kind of pair is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            pairs = list(_pairs(csv.reader(file, strict=True), path, root))
    except OSError as error:
        raise InvalidRequestError(f"{path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{path} is not a text file in UTF-8.") from None
    if {pair.same for pair in pairs} != {True, False}:
        raise InvalidRequestError(
            f"{path} lists {sum(p.same for p in pairs)} genuine pairs (same = 1) and "
            f"{sum(not p.same for p in pairs)} impostor pairs (same = 0); both are needed."
        )
    return _collected(pairs, path)


def _pairs(rows: "_Reader", path: Path, root: Path) -> Iterator[ListedPair]:
    try:
        header = next(rows, [])
        if [name.strip() for name in header] != HEADER:
            raise InvalidRequestError(f"{path}, line 1: the header must be a,b,same.")
        for fields in rows:
            if fields:  # not an empty line
                yield _pair(fields, rows.line_num, path, root)
    except csv.Error as error:
        raise InvalidRequestError(f"{path}, line {rows.line_num}: {error}.") from None


class _Reader(Protocol):
    """What `csv.reader` gives."""

    line_num: int

    def __iter__(self) -> "_Reader": ...

    def __next__(self) -> list[str]: ...


def _pair(fields: Sequence[str], line: int, path: Path, root: Path) -> ListedPair:
    where = f"{path}, line {line}"
    if len(fields) != len(HEADER):
        raise InvalidRequestError(f"{where}: there must be three fields, a,b,same.")
    same = _SAME.get(fields[2].strip().lower())
    if same is None:
        raise InvalidRequestError(
            f"{where}: same must be 1 or 0, true or false, yes or no, not {fields[2]!r}."
        )
    a, b = (_photo(name, where, root) for name in fields[:2])
    if a == b:
        raise InvalidRequestError(f"{where}: {fields[0]} is compared with itself.")
    return ListedPair(line, a, b, same)


def _photo(name: str, where: str, root: Path) -> Path:
    try:
        path = (root / name).resolve()
        inside, found = path.is_relative_to(root), path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        inside, found = True, False
    if not inside or Path(name).is_absolute():
        raise InvalidRequestError(f"{where}: {name} is not a path inside {root}.")
    if not found:
        raise InvalidRequestError(f"{where}: there is no file {name} in {root}.")
    return path


def _collected(pairs: Sequence[ListedPair], path: Path) -> PairList:
    photos = sorted({photo for pair in pairs for photo in (pair.a, pair.b)})
    rows = {photo: row for row, photo in enumerate(photos)}
    first, second = ([rows[photo] for photo in side] for side in _sides(pairs))
    linked = _linked(len(photos), [(rows[p.a], rows[p.b]) for p in pairs if p.same])
    for pair in pairs:
        if not pair.same and linked[rows[pair.a]] == linked[rows[pair.b]]:
            raise InvalidRequestError(
                f"{path}, line {pair.line}: says that {pair.a.name} and {pair.b.name} show two "
                "people, but the genuine pairs say that they show one."
            )
    images = tuple(LabelledImage(p, f"{linked[row]:09d}") for row, p in enumerate(photos))
    same = np.array([pair.same for pair in pairs], np.bool_)
    return PairList(images, np.array(first, np.intp), np.array(second, np.intp), same)


def _sides(pairs: Sequence[ListedPair]) -> tuple[list[Path], list[Path]]:
    return [pair.a for pair in pairs], [pair.b for pair in pairs]


def _linked(photos: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """The least row of the photos that links lead to, for each photo (disjoint sets)."""
    parents = list(range(photos))

    def least(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    for a, b in links:
        low, high = sorted((least(a), least(b)))
        parents[high] = low
    return [least(row) for row in range(photos)]
