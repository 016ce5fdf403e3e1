"""Lines of libraries that repeat themselves."""

import itertools
import logging
from types import SimpleNamespace

import pytest

from veleta.service import logs
from veleta.service.logs import MAX_MESSAGES, MAX_PAUSE, RepeatFilter


class Logged:
    """Messages of a library that pass the filter, on a clock of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.lines: list[tuple[float, str]] = []
        self._filter = RepeatFilter()
        monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: self.now))

    def log(self, message: str, *arguments: object, name: str = "kafka.cluster") -> None:
        record = logging.LogRecord(name, logging.ERROR, "", 0, message, arguments, None)
        if self._filter.filter(record):
            self.lines.append((self.now - 100, record.getMessage()))


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    return Logged(monkeypatch)


@pytest.mark.failure("F312")
def test_a_repeated_line_is_logged_at_growing_intervals(logged: Logged) -> None:
    """Eight times a second for a minute are six lines. Each says how many were left out before it."""
    for _ in range(480):
        logged.log("Topic %s not found", "d.rows")
        logged.now += 0.125
    assert [round(second) for second, _ in logged.lines] == [0, 1, 3, 7, 15, 31]
    assert logged.lines[0][1] == "Topic d.rows not found"
    assert logged.lines[2][1] == "Topic d.rows not found (and 15 more since the last such line)"


def test_lines_that_differ_in_their_arguments_are_the_same(logged: Logged) -> None:
    """Such as the number of attempts that are left. Another text, or another library, is another line."""
    for attempt in range(3):
        logged.log("%s attempts left", attempt)
    logged.log("100 % failed")
    logged.log("%s attempts left", 7, name="aiokafka")
    assert [line for _, line in logged.lines] == ["0 attempts left", "100 % failed", "7 attempts left"]


def test_a_line_that_did_not_come_for_long_is_new(logged: Logged) -> None:
    """The next outage is logged at once, and from its start."""
    for _ in range(3):
        logged.log("gone")
    logged.now += MAX_PAUSE + 1
    logged.log("gone")
    assert logged.lines == [(0.0, "gone"), (MAX_PAUSE + 1, "gone")]


def test_the_interval_is_at_most_ten_minutes(logged: Logged) -> None:
    """A line that goes on for a day is still in the rotated log."""
    for _ in range(24 * 360):
        logged.log("gone")
        logged.now += 10
    times = [second for second, _ in logged.lines]
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) == MAX_PAUSE
    assert len(times) < 160


def test_the_filter_remembers_a_bounded_number_of_messages(logged: Logged) -> None:
    """A library that writes values into its messages does not fill the memory."""
    for number in range(3 * MAX_MESSAGES):
        logged.log(f"value {number}")
    assert len(logged._filter._messages) <= MAX_MESSAGES
