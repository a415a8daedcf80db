"""Times as they are stored and answered: ISO 8601 in UTC, to the millisecond."""

from datetime import UTC, datetime


def utc_now() -> str:
    """What time it is."""
    return iso(datetime.now(UTC))


def iso(time: datetime) -> str:
    """A time in UTC as text; texts sort like times."""
    return time.isoformat(timespec="milliseconds")
