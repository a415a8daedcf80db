"""The file that catches what training processes print; it does not grow without bound."""

import os
from pathlib import Path
from typing import Final

WORKER_LOG: Final = "worker.log"
MAX_BYTES: Final = 4 * 1024 * 1024
_KEPT_BYTES: Final = 256 * 1024


def open_log(folder: Path) -> int:
    """Descriptor of the file in `folder`, for the output of a process.

    Raises:
        OSError: If it can't be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    return os.open(folder / WORKER_LOG, flags, 0o600)


def trim_log(folder: Path) -> None:
    """Keep the end of the file, if it is too large; processes go on writing to it."""
    try:
        with (folder / WORKER_LOG).open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= MAX_BYTES:
                return
            file.seek(size - _KEPT_BYTES)
            kept = file.read().partition(b"\n")[2]
            file.seek(0)
            # Lines that are written in this moment are lost.
            file.truncate(0)
            file.write(kept)
    except OSError:
        return
