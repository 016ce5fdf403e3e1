"""A clock that jumped ahead does not expire rows; one that stays ahead does after a day."""

from datetime import UTC, datetime, timedelta

import pytest

from veleta_retention.domain.trusted_time import CONFIRMED, RUNNING, STOPPED, TrustedTime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, YEARS = timedelta(hours=1), timedelta(days=3650)


@pytest.mark.parametrize("shown", [NOON + HOUR + RUNNING, NOON, NOON - YEARS])
def test_a_clock_that_is_not_ahead_is_believed(shown: datetime) -> None:
    """Rows that expire too late do no harm: a clock that was set back is followed."""
    assert TrustedTime(NOON).after(HOUR, shown, RUNNING) == TrustedTime(shown)


@pytest.mark.failure("F398")
def test_a_clock_that_jumped_is_not_believed() -> None:
    """The time goes on by what has passed, until the clock is set right."""
    doubted = TrustedTime(NOON).after(HOUR, NOON + YEARS, RUNNING)
    assert doubted == TrustedTime(NOON + HOUR, doubted_since=NOON + HOUR)
    later = doubted.after(HOUR, NOON + YEARS + HOUR, RUNNING)
    assert later == TrustedTime(NOON + 2 * HOUR, doubted_since=NOON + HOUR)
    assert later.after(HOUR, NOON + 3 * HOUR, RUNNING) == TrustedTime(NOON + 3 * HOUR)


@pytest.mark.failure("F398")
def test_a_clock_that_stays_ahead_is_believed_after_a_day_of_running() -> None:
    """A run that was stopped for a month goes on, also if it never runs for a whole day."""
    clock, time = NOON + timedelta(days=30), TrustedTime(NOON).after(timedelta(), NOON + timedelta(days=30), STOPPED)
    for _ in range(3):
        time = time.after(CONFIRMED / 4, clock, RUNNING)
        time = time.after(timedelta(), clock := clock + timedelta(days=1), STOPPED)
        assert time.doubted_since == NOON
    assert time.after(CONFIRMED / 4, clock, RUNNING) == TrustedTime(clock)


def test_a_stop_of_some_days_is_believed_at_once() -> None:
    """A weekend. While it runs, a clock that jumps as far is not."""
    monday = NOON + STOPPED
    assert TrustedTime(NOON).after(timedelta(), monday, STOPPED) == TrustedTime(monday)
    assert TrustedTime(NOON).after(timedelta(), monday, RUNNING).at == NOON
