"""Places for faults: copies of one gallery, on disks of their own where that is permitted."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Final

from benchmarks.calls import Answer, Caller
from benchmarks.kill_server import disk_problems
from benchmarks.photos import PEOPLE, variant
from benchmarks.server import START_LIMIT_SECONDS, Server, launch, running

SUBJECT: Final = "anna"
_FOLDER_PHOTOS: Final = 6


class NotPermittedError(Exception):
    """The machine does not let this fault be made."""


@dataclass(frozen=True)
class Base:
    """A closed gallery that everything else is a copy of, and the ids of its subject's images."""

    folder: Path
    image_ids: frozenset[str]


@contextmanager
def base_gallery() -> Iterator[Base]:
    """One person enrolled over HTTP, another one's photos put into the folder."""
    with TemporaryDirectory(prefix="facetwin-faults-") as name:
        folder = Path(name)
        images = folder / "verification_images"
        images.mkdir()
        for i in range(_FOLDER_PHOTOS):
            (images / f"{i}.jpg").write_bytes(variant(PEOPLE[1], i))
        with running(folder) as server:
            answer = fresh_enrolment(server, 1, 2)
            ids = frozenset(each["image_id"] for each in answer.document["enrolled"])
        yield Base(folder, ids)


def fresh_enrolment(server: Server, *seeds: int) -> Answer:
    """Enroll new photos of the subject."""
    return Caller(server.port).enroll([variant(PEOPLE[0], seed) for seed in seeds], SUBJECT)


def verification(server: Server, photo: bytes | None = None) -> Answer:
    """Verify the subject with a photo of her."""
    return Caller(server.port).verify(photo or variant(PEOPLE[0], 99), SUBJECT)


def is_whole(server: Server, base: Base, folder: Path) -> list[str]:
    """What is missing of the old data, or wrong on the disk."""
    detail = Caller(server.port).get(f"/subjects/{SUBJECT}").document
    ids = {image["image_id"] for image in detail.get("images", [])}
    problems = [] if base.image_ids <= ids else ["references lost"]
    if verification(server).document.get("decision") != "match":
        problems.append("the subject no longer matches")
    if Caller(server.port).get("/subjects/default").document.get("references") != _FOLDER_PHOTOS:
        problems.append("photos of the folder lost")
    return problems + disk_problems(folder, set(), settled=True)


def refused_start(folder: Path, settings: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and last line of a server that must not start; 0 if it does."""
    with TemporaryFile() as messages:
        process, _ = launch(folder, settings, messages=messages)
        try:
            code = process.wait(START_LIMIT_SECONDS / 4)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            return 0, "it started"
        messages.seek(0)
        return code, messages.read().decode(errors="replace")


@contextmanager
def copied(base: Base) -> Iterator[Path]:
    """A copy in an ordinary folder."""
    with TemporaryDirectory(prefix="facetwin-faults-") as name:
        place = Path(name) / "data"
        shutil.copytree(base.folder, place)
        yield place


@contextmanager
def on_disk(base: Base, size: str) -> Iterator[Path]:
    """A copy on a disk of its own (tmpfs).

    Raises:
        NotPermittedError: If mounting is not allowed.
    """
    with TemporaryDirectory(prefix="facetwin-faults-") as name, mounted(Path(name), size):
        shutil.copytree(base.folder, name, dirs_exist_ok=True)
        yield Path(name)


@contextmanager
def mounted(place: Path, size: str) -> Iterator[None]:
    """A tmpfs at this place.

    Raises:
        NotPermittedError: If mounting is not allowed.
    """
    command("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield
    finally:
        command("umount", "--lazy", str(place))


def command(*words: str) -> None:
    """Run a system command.

    Raises:
        NotPermittedError: If it fails.
    """
    try:
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPermittedError(f"{words[0]}: {error}") from error


def fill(folder: Path) -> Path:
    """Write a file until the disk is full."""
    place = folder / "filler"
    with place.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return place
