"""Whether a server may start with these settings: not if strangers could call it."""

from app.domain.errors import InvalidRequestError
from app.settings import Settings


def refuse_open_door(settings: Settings, *, has_keys: bool) -> None:
    """Let nobody but this machine in without a key, unless the operator said so.

    Raises:
        InvalidRequestError: If others could call; it says what to set.
    """
    if has_keys or settings.allow_anonymous:
        return
    if settings.trusted_proxies:
        raise InvalidRequestError(
            "FACETWIN_TRUSTED_PROXIES says that others call through a proxy, and no API key is "
            "set: set FACETWIN_API_KEYS, make a key with `facetwin keys create --role verify "
            "--name NAME`, or set FACETWIN_ALLOW_ANONYMOUS=1 to let anyone call."
        )
    if settings.is_loopback:
        return
    raise InvalidRequestError(
        f"FACETWIN_HOST={settings.host} can be reached from other machines, and no API key is "
        "set: set FACETWIN_API_KEYS, make a key with `facetwin keys create --role verify --name "
        "NAME`, or set FACETWIN_ALLOW_ANONYMOUS=1 to let anyone call."
    )
