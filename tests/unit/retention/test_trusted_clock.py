"""The clock of retention, on a table in memory."""

from datetime import UTC, datetime, timedelta

import pytest

from veleta.errors import Retry
from veleta.service.health import ServiceHealth
from veleta_retention.domain.trusted_time import TrustedTime
from veleta_retention.trusted_clock import TrustedClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, YEARS = timedelta(minutes=1), timedelta(days=3650)


class Setup:
    """A clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.saved: TrustedTime | None = None
        self.unavailable = False
        self.passed = self.ahead = timedelta()
        self.start()

    def start(self) -> None:
        """Start a process."""
        self.health = ServiceHealth("retention")
        self.clock = TrustedClock(self, self.health, lambda: NOON + self.passed + self.ahead, self.steady)

    def steady(self) -> float:
        return self.passed.total_seconds()

    def load(self) -> TrustedTime | None:
        return self.saved

    def save(self, time: TrustedTime) -> None:
        if self.unavailable:
            raise Retry("mysql", "unavailable")
        self.saved = time


async def test_it_shows_the_time_of_the_clock() -> None:
    """From the first reading on, without a warning."""
    setup = Setup()
    for minutes in (0, 10, 100):
        setup.passed = minutes * MINUTE
        assert await setup.clock.now() == NOON + setup.passed
    assert setup.health.warnings == {}


@pytest.mark.failure("F398")
async def test_after_a_jump_it_shows_the_time_that_has_passed() -> None:
    """In this process and in the next one, with a warning until the clock is set right."""
    setup = Setup()
    await setup.clock.now()
    setup.ahead = YEARS
    for restart in range(2):
        setup.passed += MINUTE
        if restart:
            setup.start()
        assert await setup.clock.now() == NOON + MINUTE
        assert setup.health.warnings["clock"].startswith("the clock is 3,650.0 days ahead")
    setup.ahead = timedelta()
    assert await setup.clock.now() == NOON + setup.passed
    assert setup.health.warnings == {}


async def test_a_reading_that_is_not_saved_fails() -> None:
    """The next process would begin with an older time, and the next reading counts all that has passed."""
    setup = Setup()
    await setup.clock.now()
    setup.unavailable, setup.passed = True, MINUTE
    with pytest.raises(Retry):
        await setup.clock.now()
    setup.unavailable, setup.passed, setup.ahead = False, 2 * MINUTE, YEARS
    assert await setup.clock.now() == NOON + 2 * MINUTE
