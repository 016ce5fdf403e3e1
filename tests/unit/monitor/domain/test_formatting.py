"""Times and numbers as text."""

from datetime import UTC, datetime, timedelta

import pytest

from veleta_monitor.domain.formatting import format_age, format_number, format_utc

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (0.4, "just now"),
        (1, "1 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (7_200, "2 h ago"),
        (86_400, "1 day ago"),
        (86_400 * 3.9, "3 days ago"),
    ],
)
def test_an_age_has_one_unit(seconds: float, text: str) -> None:
    """It is rounded down, in the largest unit that fits. A time in the future has no negative age."""
    assert format_age(NOW - timedelta(seconds=seconds), NOW) == text


def test_exact_times_are_in_utc() -> None:
    """An exact time has a date, seconds and the time zone."""
    assert format_utc(NOW) == "2026-01-02 12:00:00 UTC"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (1_234_567, "1,234,567"), (64_012.7, "64,013"), (0.1273, "0.127"), (12.0, "12")],
)
def test_numbers_have_separators(value: float | None, text: str) -> None:
    """Thousands are separated, small numbers have three significant digits, and an unknown value is a dash."""
    assert format_number(value) == text
