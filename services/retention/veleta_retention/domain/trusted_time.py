"""The time by which rows expire. A clock that jumped ahead must not delete them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

RUNNING, STOPPED = timedelta(hours=1), timedelta(days=3)
"""How far the clock may be ahead of the time that has passed: while retention runs, and after a stop of any length."""
CONFIRMED = timedelta(days=1)
"""A clock that stays ahead is believed after retention has run for so long."""


@dataclass(frozen=True)
class TrustedTime:
    """A time in UTC, and since when the clock is ahead of it; None if it is the clock's time."""

    at: datetime
    doubted_since: datetime | None = None

    def after(self, passed: timedelta, clock: datetime, allowed: timedelta) -> "TrustedTime":
        """The next trusted time. A monotonic clock measured `passed`, and the clock shows `clock`."""
        expected = self.at + passed
        since = self.doubted_since or expected
        if clock - expected <= allowed or expected - since >= CONFIRMED:
            return TrustedTime(clock)
        return TrustedTime(expected, since)
