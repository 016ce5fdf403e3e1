"""Time is passed in: `Clock` is the port, `utc_now` the real one. All times in Veleta are UTC."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def for_sql(at: datetime) -> datetime:
    """The same moment without its zone: DATETIME has none, and all times are UTC."""
    return at.replace(tzinfo=None)
