"""Which requests expire, and which are purged."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Purge:
    """The deletion of all requests that were received until `at`, and whose own or client's id is `name`.

    A later request with this id is stored.
    """

    name: str
    at: datetime


def expiry_cutoff(now: datetime, days: int) -> datetime | None:
    """Requests that were received before this time are expired. None if `days` is 0: then requests never expire."""
    return now - timedelta(days) if days else None
