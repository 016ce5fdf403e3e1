"""Reads the time by which rows expire."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from veleta.clock import Clock
from veleta.service.health import ServiceHealth
from veleta_retention.domain.trusted_time import RUNNING, STOPPED, TrustedTime
from veleta_retention.ports import TimeTable


def seconds_since_boot() -> float:
    """A clock that nobody can set. It goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class TrustedClock:
    """The wall clock, or the time that has passed while the wall clock is ahead of it. Every reading is stored."""

    def __init__(
        self, table: TimeTable, health: ServiceHealth, clock: Clock, steady: Callable[[], float] = seconds_since_boot
    ) -> None:
        self._table = table
        self._health = health
        self._clock = clock
        self._steady = steady
        self._last: tuple[TrustedTime, float] | None = None
        self._lock = asyncio.Lock()

    async def now(self) -> datetime:
        """The trusted time in UTC. While it is not the clock's, /readyz has a warning. Raises Retry."""
        async with self._lock:
            clock, steady = self._clock(), self._steady()
            if self._last:
                before, read_at = self._last
                trusted = before.after(timedelta(seconds=steady - read_at), clock, RUNNING)
            else:
                stored = await asyncio.to_thread(self._table.load)
                trusted = stored.after(timedelta(), clock, STOPPED) if stored else TrustedTime(clock)
            await asyncio.to_thread(self._table.save, trusted)
            self._last = trusted, steady
            self._health.set_warning("clock", _warning(clock, trusted))
        return trusted.at


def _warning(clock: datetime, trusted: TrustedTime) -> str:
    if trusted.doubted_since is None:
        return ""
    ahead = (clock - trusted.at) / timedelta(days=1)
    return (
        f"the clock is {ahead:,.1f} days ahead of the time that has passed, and no row expires by it: "
        "set it right, or it is believed after a day"
    )
