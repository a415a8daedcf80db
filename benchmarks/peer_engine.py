"""The two sides as processes that take a path and give a face's embedding, one photo at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

_ROOT: Final = Path(__file__).parents[1]
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


class EngineError(RuntimeError):
    """A side's process ended or said what was not expected."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a side made of a photo.

    Attributes:
        embedding: Empty where no face was found.
        blocking: Codes of the quality reasons for which the side would not decide.
        reason: Why there is no embedding.
        wall_ms: Time of the steps `decode`, `detect`, `embed` and of all, `total`.
        cpu_ms: The same in CPU time of the whole process.
    """

    embedding: Sequence[float] = ()
    blocking: Sequence[str] = ()
    reason: str = ""
    wall_ms: Mapping[str, float] = field(default_factory=dict)
    cpu_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Engine:
    """A side at work.

    Attributes:
        name: Whose side.
        version: All that its embeddings depend on.
        build: How it was compiled, where that matters.
    """

    name: str
    version: str
    build: Mapping[str, bool]
    _process: subprocess.Popen[str]
    _log: IO[bytes]

    def analyze(self, path: Path) -> Result:
        """The face nearest to the centre of a photo.

        Raises:
            EngineError: If the process has ended.
        """
        to_it = self._process.stdin
        assert to_it
        # If it has ended, the answer that does not come tells more.
        with suppress(BrokenPipeError):
            to_it.write(json.dumps({"path": str(path.absolute())}) + "\n")
            to_it.flush()
        return Result(**_answer(self._process, self._log))


@contextmanager
def running(command: Sequence[str]) -> Iterator[Engine]:
    """Start a side's process, with one thread; it is ended at the end of the block.

    Raises:
        EngineError: If it does not start.
    """
    # A file, because a pipe that nobody reads would stop a talkative process.
    with TemporaryFile() as log:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=_ROOT,
            env=os.environ | _ONE_THREAD,
        )
        try:
            about = _answer(process, log)
            yield Engine(about["name"], about["version"], about.get("build", {}), process, log)
        finally:
            _end(process)


def ours(model_dir: Path) -> list[str]:
    """The command that runs this service's pipeline with the active bundle."""
    return [sys.executable, "-m", "benchmarks.peer_ours", str(model_dir.absolute())]


def theirs(python: Path) -> list[str]:
    """The command that runs `face_recognition`; -I keeps this project off its path."""
    return [str(python.absolute()), "-I", str(Path(__file__).with_name("peer_worker.py"))]


def _answer(process: subprocess.Popen[str], log: IO[bytes]) -> dict[str, Any]:
    assert process.stdout
    line = process.stdout.readline()
    try:
        answer: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        log.seek(0)
        said = (line + log.read().decode(errors="replace")).strip()
        raise EngineError(
            f"{process.args!r} gave no answer; its last words: {said[-2000:]}"
        ) from None
    return answer


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    # Closing writes what a dead process did not take.
    with suppress(BrokenPipeError), process:
        pass
