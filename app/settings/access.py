"""Settings that say who may call, and how often."""

from ipaddress import ip_network
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from app.domain.access import Role

_ROLE_SEPARATOR: Final = ":"

MIN_KEY_LENGTH: Final = 16
"""Characters of a configured key; nothing but its length can be checked."""


class AccessSettings(BaseSettings):
    """Keys, rate limits, browsers and proxies."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma separated keys, each with a role in front (verify:KEY, enroll:KEY, "
        "admin:KEY); one without a role is an admin's. At least 16 characters each. If any key "
        "exists, every call but /healthz and /readyz needs one.",
    )
    allow_anonymous: bool = Field(
        False, description="Serve on an address other than loopback without API keys."
    )
    rate_limit_per_key: int = Field(
        6000, ge=0, description="Requests a minute that one key may send; 0 sets no limit."
    )
    rate_limit_per_address: int = Field(
        6000,
        ge=0,
        description="Requests a minute from one address (IPv6: from one /64); 0 sets no limit.",
    )
    rate_limit_failures: int = Field(
        30,
        ge=0,
        description="Wrong or missing keys a minute that are answered 401 to one address, further "
        "ones 429; right keys are not held up. 0 sets no limit.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma separated addresses or networks whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed. Nobody's by default. Needs API keys or allow_anonymous.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma separated origins (https://app.example) whose pages may call this "
        "service from a browser. None by default.",
    )

    @field_validator("api_keys", "trusted_proxies", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @field_validator("api_keys")
    @classmethod
    def _are_keys(cls, entries: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        seen: set[str] = set()
        for number, entry in enumerate(entries, start=1):
            try:
                _, key = _role_and_key(entry)
                _check_key(key, seen)
            except ValueError as error:
                # By its number: what is wrong may be a secret in the wrong place.
                raise ValueError(f"FACETWIN_API_KEYS: entry {number} {error}") from None
            seen.add(key)
        return entries

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            try:
                ip_network(value, strict=False)
            except ValueError:
                raise ValueError(f"{value} is no address or network") from None
        return values

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            parts = urlsplit(value)
            if parts.scheme not in {"http", "https"} or value != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"{value} is no origin such as https://app.example")
        return values

    @property
    def configured_keys(self) -> tuple[tuple[Role, str], ...]:
        """Role and key of each entry of `api_keys`."""
        return tuple(_role_and_key(key) for key in self.api_keys)


def _role_and_key(entry: SecretStr) -> tuple[Role, str]:
    value = entry.get_secret_value()
    role, separator, key = value.partition(_ROLE_SEPARATOR)
    if not separator:
        return Role.ADMIN, value
    try:
        return Role(role.strip().lower()), key.strip()
    except ValueError:
        raise ValueError(
            f"has something before its first ':' that is no role. The roles are {', '.join(Role)}; "
            "write admin: in front of an admin's key that holds a colon"
        ) from None


def _check_key(key: str, seen: set[str]) -> None:
    if len(key) < MIN_KEY_LENGTH:
        raise ValueError(
            f"holds a key of fewer than {MIN_KEY_LENGTH} characters: make one with `facetwin keys "
            "create`, or `openssl rand -hex 32`"
        )
    if key in seen:
        raise ValueError("repeats a key: give each caller its own, with one role")
