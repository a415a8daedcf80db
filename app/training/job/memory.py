"""What a job remembers on disk, so that it goes on where its process was killed."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from app.domain.errors import StorageError
from app.domain.training import Judgement

STATE: Final = "state.json"
CHECKPOINTS: Final = "checkpoints"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided.

    Attributes:
        judgement: Against the base; None if they could not be compared.
        activate: Whether the new bundle shall serve.
        reasons: Why, or why not.
    """

    judgement: Judgement | None
    activate: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobMemory:
    """What must not change when a job goes on.

    Attributes:
        base: Version of the bundle that it started from.
        version: Of the bundle that it makes.
        decision: Of the gate, from the moment before the new bundle is published.
        activated: Whether the new bundle was activated; if it is not active then, someone went
            back from it.
    """

    base: str
    version: str
    decision: Decision | None = None
    activated: bool = False

    def decided(self, decision: Decision) -> "JobMemory":
        """The memory with a decision."""
        return replace(self, decision=decision)

    def write(self, folder: Path) -> None:
        """Keep it, whole or not at all.

        Raises:
            StorageError: If it can't be written.
        """
        write_json(folder / STATE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "JobMemory | None":
        """What an earlier process of this job kept; None if it is the first."""
        document = read_json(folder / STATE)
        if document is None:
            return None
        made = document["decision"]
        decision = made and Decision(
            Judgement(made["judgement"]) if made["judgement"] else None,
            made["activate"],
            tuple(made["reasons"]),
        )
        return cls(
            document["base"], document["version"], decision, document.get("activated", False)
        )


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file aside, flush it to the disk and give it its name.

    Raises:
        StorageError: If it can't be written; the file that was there stays.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"{path.name} of the job can't be written: {error.strerror}.") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file; None if there is none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
