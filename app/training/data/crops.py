"""Aligned faces and examination results on disk, so that no photo is detected twice.

An entry is a file `<2 digits>/<sha256 of the photo>-<recipe>`: sha256 of the content, then the
content. What is damaged counts as absent, so nothing needs to be flushed to the disk at once.
"""

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import get_ident
from typing import Any, Final

import cv2
import numpy as np

from app.domain.crops import crop_folder, is_crop_of
from app.domain.entities import Pixels
from app.domain.errors import StorageError
from app.inference.manifest import canonical

_DIGEST: Final = 32
_FAST_PNG: Final = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_CAUSES: Final = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


class CropCache:
    """Entries by sha256 of the photo and by recipe: all that the entry depends on.

    An entry appears whole or not at all; one that is damaged is absent, and made anew. Safe to use
    from many threads and processes.

    Args:
        folder: Made when the first entry is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, photo: str, recipe: str) -> bytes | None:
        """The content of an entry; None if there is none that is whole."""
        try:
            data = self._place(photo, recipe).read_bytes()
        except OSError:
            return None
        digest, content = data[:_DIGEST], data[_DIGEST:]
        return content if sha256(content).digest() == digest else None

    def write(self, photo: str, recipe: str, content: bytes) -> None:
        """Put an entry in its place.

        Raises:
            StorageError: If it can't be written; nothing of it is left then.
        """
        place = self._place(photo, recipe)
        draft = place.with_name(f".{place.name}.{os.getpid()}-{get_ident()}")
        with _told("The cache of training crops can't be written"):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                _write(draft, sha256(content).digest() + content)
                draft.replace(place)
            except BaseException:
                with suppress(OSError):
                    draft.unlink(missing_ok=True)
                raise

    def pixels(self, photo: str, recipe: str, make: Callable[[], Pixels]) -> Pixels:
        """The picture (h, w, 3), RGB, of an entry; it is made and written if there is none.

        Raises:
            StorageError: If it can't be written.
        """
        content = self.read(photo, recipe)
        if content is None:
            made = make()
            self.write(photo, recipe, _png(made))
            return made
        found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert found is not None, "the content is what was written"
        return found.astype(np.uint8, copy=False)

    def keep_only(self, photos: Collection[str]) -> int:
        """Delete the entries of all other photos: what has left the folders must leave here too.

        Raises:
            StorageError: If one can't be deleted.
        """
        kept = set(photos)
        return self._delete(lambda photo: photo not in kept)

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.stat().st_size for entry in self._entries())

    def _delete(self, condemned: Callable[[str], bool]) -> int:
        gone = 0
        with _told("Cached training crops can't be deleted"):
            for entry in list(self._entries()):
                photo = entry.name.lstrip(".").partition("-")[0]
                if is_crop_of(photo, entry.name) and condemned(photo):
                    entry.unlink(missing_ok=True)
                    gone += 1
        return gone

    def _entries(self) -> Iterator[Path]:
        return (path for path in self._folder.glob("*/*") if path.is_file())

    def _place(self, photo: str, recipe: str) -> Path:
        return self._folder / crop_folder(photo) / f"{photo}-{recipe}"


def recipe_of(kind: str, parts: Mapping[str, Any]) -> str:
    """The name of a recipe: what is made, and a hash of all that it depends on."""
    return f"{kind}-{sha256(canonical(parts)).hexdigest()[:24]}"


def _png(pixels: Pixels) -> bytes:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", bgr, _FAST_PNG)
    assert done, "three channels of 8 bits can be stored"
    return data.tobytes()


def _write(place: Path, data: bytes) -> None:
    # A face is for its owner alone, whatever the umask.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(place, flags, 0o600), "wb") as file:
        file.write(data)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0, error.strerror or "unknown error")
        raise StorageError(f"{what}: {cause}. Free some space or mend the folder.") from error
