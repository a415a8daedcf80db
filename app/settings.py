"""All settings of the service and the CLI: one class, read from the environment."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.entities import FacePolicy

_MIB = 1024 * 1024


def usable_cpus() -> int:
    """CPUs that this process may use, at least 1: its affinity, cut by a cgroup quota."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, round(int(quota) / int(period))))


class Settings(BaseSettings):
    """Settings by name; the environment variable is `FACETWIN_` and the name in capitals.

    An empty variable counts as unset.
    """

    model_config = SettingsConfigDict(
        env_prefix="FACETWIN_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # the input holds API keys
        # `model_dir` is a name of design.md; pydantic reserves the prefix by default.
        protected_namespaces=(),
    )

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Other than loopback needs API keys or allow_anonymous.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    application_data_dir: Path = Field(
        Path("application_data"),
        description="Folder of verification_images/, input_image/ and the SQLite database.",
    )
    data_dir: Path = Field(
        Path("data"), description="Folder of the training photos: anchor/, positive/, negative/."
    )
    model_dir: Path = Field(
        Path("model"),
        description="Folder of the bundles and of the file that names the active one.",
    )
    database_url: str = Field(
        default_factory=lambda data: f"sqlite:///{data['application_data_dir']}/facetwin.sqlite",
        description="Database of the gallery, sqlite:///PATH. "
        "Default: facetwin.sqlite in application_data_dir.",
    )
    max_fmr: float = Field(
        0.001,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="False match rate that is accepted unless the request says otherwise.",
    )
    face_policy: FacePolicy = Field(
        FacePolicy.PROMINENT,
        description="Which of several faces is meant, unless the request says otherwise: "
        "prominent, largest, central or single.",
    )
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma separated keys. If set, every call but /healthz and /readyz needs one.",
    )
    allow_anonymous: bool = Field(
        False, description="Serve on an address other than loopback without API keys."
    )
    inference_threads: int = Field(
        default_factory=usable_cpus,
        ge=1,
        le=256,
        description="Photos in work at the same time. Default: the usable CPUs.",
    )
    queue_size: int = Field(
        16,
        ge=0,
        le=10_000,
        description="Requests that may wait for an inference thread; more are answered 503.",
    )
    max_image_bytes: int = Field(
        20 * _MIB, ge=1024, description="Largest image file that is accepted, in bytes."
    )
    max_image_pixels: int = Field(
        50_000_000, ge=4096, description="Largest width times height that is accepted."
    )
    max_request_bytes: int = Field(
        100 * _MIB,
        ge=4096,
        description="Largest body of an enrolment, all its photos together, in bytes.",
    )
    max_pending_bytes: int = Field(
        256 * _MIB,
        ge=4096,
        description="Most bytes of request bodies that are held in memory at the same time.",
    )
    max_files_per_request: int = Field(
        50, ge=1, le=1000, description="Most photos in one enrolment request."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, json otherwise."
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(key.strip() for key in value.split(",") if key.strip())
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _sqlite_file(cls, value: str) -> str:
        if not value.removeprefix("sqlite:///").strip("/") or not value.startswith("sqlite:///"):
            raise ValueError("FACETWIN_DATABASE_URL must be sqlite:/// followed by the file's path")
        return value

    @model_validator(mode="after")
    def _refuse_open_door(self) -> Self:
        if not (self.is_loopback or self.api_keys or self.allow_anonymous):
            raise ValueError(
                f"FACETWIN_HOST={self.host} is reachable from other machines. Set "
                "FACETWIN_API_KEYS to one or more comma separated keys, or "
                "FACETWIN_ALLOW_ANONYMOUS=1 if anyone who reaches this address may verify, "
                "enroll and delete."
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def images_dir(self) -> Path:
        """Where the verification images lie."""
        return self.application_data_dir / "verification_images"

    @property
    def input_dir(self) -> Path:
        """Where the CLI looks for the newest photo to verify."""
        return self.application_data_dir / "input_image"
