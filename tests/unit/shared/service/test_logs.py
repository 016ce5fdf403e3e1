"""The lines of a log: what a terminal may not obey, and lines of libraries that repeat themselves."""

import itertools
import json
import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest

from support.pseudo_terminal import PseudoTerminal
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


LINES = """\
import logging, structlog
from veleta.service.logs import configure_logging
configure_logging("loader")
hostile = "evil" + chr(27) + "]0;x" + chr(7) + chr(0x9B) + chr(0x202E)
structlog.get_logger().error(hostile, reason=hostile)
logging.getLogger("kafka").error("refused: %s", hostile)
try:
    password = "secret-value"
    raise ValueError(hostile)
except ValueError:
    structlog.get_logger().exception("failed")
raise SystemError(hostile)
"""
OBEYED = "\x1b\x07\x9b\u202e"


@pytest.mark.failure("F415")
def test_a_logged_reason_sends_no_commands_to_a_terminal() -> None:
    """Neither in plain lines nor in an exception that ends the process. No line shows a variable's value."""
    terminal = PseudoTerminal([sys.executable, "-c", LINES], 200, 60)
    assert terminal.end(b"", 30) == 1
    terminal.close()
    output = terminal.output.decode()
    assert output.count("evil") == 5
    assert not set(output) & set(OBEYED)
    assert "secret-value" not in output


@pytest.mark.failure("F415")
def test_a_log_in_a_file_is_json_in_ascii() -> None:
    """A person may show it on a terminal."""
    done = subprocess.run([sys.executable, "-c", LINES], capture_output=True, check=False)
    lines = done.stderr.decode("ascii").splitlines()
    assert [json.loads(line)["level"] for line in lines[:3]] == ["error"] * 3
    assert not set(done.stderr.decode()) & set(OBEYED)
