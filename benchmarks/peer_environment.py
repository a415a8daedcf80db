"""The environment of its own in which the package `face_recognition` runs."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from app.cli.output import print_note

REQUIREMENTS: Final = Path(__file__).with_name("peers-requirements.txt")
ENVIRONMENT: Final = Path(__file__).parents[1] / ".cache" / "peers"
"""Where it is made; git ignores it."""

_COMPILERS: Final = ("c++", "g++", "clang++")


class PeerUnavailableError(RuntimeError):
    """The peer can't be run; the message says what to do."""


def peer_python(given: Path | None, folder: Path = ENVIRONMENT) -> Path:
    """The interpreter that runs the peer; without `given`, one in `folder`, made if needed.

    Raises:
        PeerUnavailableError: If it can't be made or is not there.
    """
    python = given or _prepared(folder)
    if not python.is_file():
        raise PeerUnavailableError(f"{python} is not there; name a Python interpreter.")
    return python


def _prepared(folder: Path) -> Path:
    """The environment in `folder`; it counts as made once it notes what was installed in it."""
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = REQUIREMENTS.read_text("utf-8")
    if installed.is_file() and installed.read_text("utf-8") == wanted:
        return python
    _hold_tools()
    print_note(f"Making the peer's environment in {folder}: dlib is compiled, for some minutes.")
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    _run([str(python), "-m", "pip", "install", "--requirement", str(REQUIREMENTS)])
    installed.write_text(wanted, "utf-8")
    return python


def _hold_tools() -> None:
    if not shutil.which("cmake") or not any(map(shutil.which, _COMPILERS)):
        raise PeerUnavailableError(
            "dlib is compiled while it is installed, which needs cmake and a C++ compiler: install "
            "both, or name an interpreter that has face_recognition with --peer-python."
        )


def _run(command: list[str]) -> None:
    """Run a command with its output on standard error, so that standard output stays clean."""
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise PeerUnavailableError(f"The peer's environment can't be made: {' '.join(command)}")
