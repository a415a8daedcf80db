"""What a process of training is given: settings and the job, over its standard input.

Not by arguments, which anyone on the machine can read, and not by the environment alone, as
settings may have been given otherwise.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from app.domain.training import TrainingOptions
from app.settings import Settings
from app.settings.access import AccessSettings
from app.storage.job_json import options_from_json, options_to_json

_LEFT_OUT: Final = frozenset(AccessSettings.model_fields)
"""Training has no callers, and needs no keys of theirs."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt at one job.

    Attributes:
        events: Descriptor of the pipe to the warden.
        warden: Its process id.
    """

    job_id: str
    options: TrainingOptions
    events: int
    warden: int


def write_handover(settings: Settings, assignment: Assignment | None = None) -> bytes:
    """What goes to the standard input of a warden, or of a job's process."""
    document: dict[str, Any] = {"settings": _settings_document(settings)}
    if assignment is not None:
        document["job"] = {
            "job_id": assignment.job_id,
            "options": options_to_json(assignment.options),
            "events": assignment.events,
            "warden": assignment.warden,
        }
    return json.dumps(document).encode()


def read_handover(data: bytes) -> tuple[Settings, Assignment | None]:
    """The inverse of `write_handover`; without data, the settings of the environment."""
    if not data.strip():
        return Settings(), None
    document: Mapping[str, Any] = json.loads(data)
    settings = Settings(**document["settings"])
    if "job" not in document:
        return settings, None
    job = document["job"]
    options = options_from_json(job["options"])
    return settings, Assignment(job["job_id"], options, job["events"], job["warden"])


def received() -> tuple[Settings, Assignment | None]:
    """What this process was given."""
    return read_handover(b"" if sys.stdin.isatty() else sys.stdin.buffer.read())


def _settings_document(settings: Settings) -> dict[str, Any]:
    values = settings.model_dump(exclude=set(_LEFT_OUT))
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
