"""The clock: `Clock` is the port, `utc_now` its implementation. All times in Veleta are UTC."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current time, with the zone UTC."""
    return datetime.now(UTC)


def for_sql(at: datetime) -> datetime:
    """The same time without its zone, for the SQL type DATETIME, which has none."""
    return at.replace(tzinfo=None)
