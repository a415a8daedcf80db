"""All settings of the service and the CLI: one class, read from the environment.

`limits`, `access` and `training` hold the parts that would make this file too long.
"""

import ipaddress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.domain.entities import FacePolicy
from app.settings.access import AccessSettings
from app.settings.cpus import usable_cpus
from app.settings.limits import LimitSettings
from app.settings.secret_files import secret_files
from app.settings.training import TrainingSettings


class Settings(AccessSettings, LimitSettings, TrainingSettings):
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
    shipped_model_dir: Path | None = Field(
        None,
        description="Folder of a bundle that comes with the installation. At a start it is copied "
        "to model_dir and activated there, in the place of the last one that came so.",
    )
    secrets_dir: Path | None = Field(
        None,
        description="Folder with a file for each setting that is a secret, e.g. "
        "facetwin_api_keys; environment variables go before it.",
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
    sync_interval: float = Field(
        2.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="Seconds between two looks at verification_images/ while serving; 0 looks "
        "only at start.",
    )
    encryption_key: SecretStr | None = Field(
        None,
        description="Encrypts reference photos and embeddings on disk: a key made by "
        "`facetwin encryption new-key`. While keys are changed, the new one first and the old one "
        "after a comma.",
    )
    service_key: SecretStr | None = Field(
        None,
        description="Secret that signs receipts and the audit log. Default: one made at the first "
        "start and kept in service.key in application_data_dir.",
    )
    audit_retention_days: int = Field(
        365, ge=0, description="Days that audit entries are kept; 0 keeps them for good."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, json otherwise."
    )

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

    @field_validator("secrets_dir")
    @classmethod
    def _is_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(f"the folder {value} does not exist")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - has a fixed folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given goes before the environment, that before files."""
        return (init_settings, env_settings, *secret_files(settings_cls))

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
    def training_dir(self) -> Path:
        """Where training jobs keep their files: `jobs/<job_id>/` and the cache of crops."""
        return self.application_data_dir / "training"

    @property
    def input_dir(self) -> Path:
        """Where the CLI looks for the newest photo to verify."""
        return self.application_data_dir / "input_image"
