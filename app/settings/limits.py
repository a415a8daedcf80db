"""Settings that bound what a request may cost; each is held before the body is parsed."""

from typing import Final, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

_MIB: Final = 1024 * 1024
_ENROLLMENT_FIELDS: Final = 2
"""Fields that an enrolment may have beside its photos: subject and face_policy."""


class LimitSettings(BaseSettings):
    """Bytes, parts, pixels and seconds; docs/api.md has the problem code of each."""

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
    max_fields: int = Field(
        32, ge=1, le=1000, description="Most form fields in one request, photos not counted."
    )
    max_field_bytes: int = Field(
        4096, ge=64, le=_MIB, description="Longest value of a form field, in bytes."
    )
    max_parts: int = Field(
        64,
        ge=1,
        le=2000,
        description="Most parts of one form, photos and fields together; at least 2 more than "
        "max_files_per_request.",
    )
    read_timeout: float = Field(
        10.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds that a client may pause while it sends a request, headers or body.",
    )
    request_timeout: float = Field(
        60.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds that a request may take in all, from its headers to its answer.",
    )
    shutdown_timeout: float = Field(
        8.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds that running requests get to finish when the service is stopped.",
    )
    max_connections: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Most connections that are open at the same time. One address may have a "
        "quarter, at least 8; loopback and trusted proxies may have all.",
    )

    @model_validator(mode="after")
    def _parts_hold_the_files(self) -> Self:
        least = self.max_files_per_request + _ENROLLMENT_FIELDS
        if self.max_parts < least:
            raise ValueError(
                f"FACETWIN_MAX_PARTS must be at least {least}: FACETWIN_MAX_FILES_PER_REQUEST and "
                f"{_ENROLLMENT_FIELDS} fields"
            )
        return self
