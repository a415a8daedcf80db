"""Settings that say who may call, and how often."""

from ipaddress import ip_network
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from app.domain.access import Role

_ROLE_SEPARATOR: Final = ":"


class AccessSettings(BaseSettings):
    """Keys, rate limits, browsers and proxies."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma separated keys, each with a role in front (verify:KEY, enroll:KEY, "
        "admin:KEY); one without a role is an admin's. If any key exists, every call but /healthz "
        "and /readyz needs one.",
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
        30, ge=0, description="Wrong or missing keys a minute from one address; 0 sets no limit."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma separated addresses or networks whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed. Nobody's by default.",
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
    def _keys_have_content(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_role_and_key(key)[1] for key in keys):
            raise ValueError("FACETWIN_API_KEYS holds a role without a key")
        return keys

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
    if separator and role in set(Role):
        return Role(role), key
    return Role.ADMIN, value
