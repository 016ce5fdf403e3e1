"""How long requests are kept, and which are to go before that."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Purge:
    """All requests are to go that were received until `at` and are called `name`: by their id, or by their client.

    What comes under the name later is another request, and is kept.
    """

    name: str
    at: datetime


def kept_since(now: datetime, days: int) -> datetime | None:
    """What was received before this is too old; None when requests are kept for ever (`days` is 0)."""
    return now - timedelta(days) if days else None
