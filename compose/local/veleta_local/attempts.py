"""The processes that supervisord started for each part, why they ended, and what they printed.

supervisord's log has the starts and the ends. The log of a part has a mark where the output of each process begins.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from veleta_local.deployment import Deployment
from veleta_local.log_errors import last_logged_error, reason_of
from veleta_local.processes import START_MARK

_SUPERVISORD_STARTED = "supervisord started with pid"
_LINE = re.compile(
    r"^\S+ (?P<time>[\d:]+)\S* \w+ "
    r"(?:spawned: '(?P<spawned>[\w-]+)' with pid (?P<pid>\d+)|exited: (?P<exited>[\w-]+) \((?P<end>.*); .*\))$"
)
_READ_BYTES = 1024 * 1024
"""The end of a part's log that is searched."""


@dataclass(frozen=True)
class Attempt:
    """One process of a part. `end` is how it ended by itself, as `exit status 1`; empty if it runs or was stopped."""

    pid: int
    end: str = ""
    ended_at: str = ""
    """The time of day."""


def parse_attempts(log: str) -> dict[str, list[Attempt]]:
    """The attempts of each part since the last start of supervisord in its log."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for line in log[max(0, log.rfind(_SUPERVISORD_STARTED)) :].splitlines():
        if not (found := _LINE.match(line)):
            continue
        if part := found["spawned"]:
            attempts[part].append(Attempt(int(found["pid"])))
        elif known := attempts.get(found["exited"]):
            known[-1] = Attempt(known[-1].pid, found["end"], found["time"])
    return attempts


def output_of(log: str, pid: int) -> str:
    """What the last process with this id printed, from the log of its part.

    The last line if its mark is missing: it ended before the mark, or the log was rotated.
    """
    lines = log.splitlines()
    marks = [number for number, line in enumerate(lines) if line.startswith(START_MARK)]
    own = [number for number in marks if f'"pid": {pid},' in lines[number]]
    if not own:
        return "".join(lines[-1:])
    end = next((number for number in marks if number > own[-1]), len(lines))
    return "\n".join(lines[own[-1] + 1 : end])


class Attempts:
    """The attempts of one run."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._reasons: dict[tuple[str, Attempt], str] = {}

    @property
    def position(self) -> int:
        """The present end of supervisord's log."""
        path = self._supervisord_log
        return path.stat().st_size if path.exists() else 0

    def by_part(self, position: int = 0) -> dict[str, list[Attempt]]:
        """All attempts of the supervisord that runs; with a position, those after it."""
        start = position if position <= self.position else 0  # a smaller file is a new one
        return parse_attempts(_tail(self._supervisord_log, start))

    def reason(self, part: str, attempt: Attempt) -> str:
        """Why an attempt ended: its own words, or how it ended."""
        if (part, attempt) not in self._reasons:
            exited = attempt.end.startswith("exit status")  # a killed process did not say why
            words = reason_of(self._output(part, attempt)) if exited else ""
            self._reasons[part, attempt] = words or attempt.end
        return self._reasons[part, attempt]

    def last_error(self, part: str, attempts: list[Attempt]) -> str:
        """The last error of a part, with its time if its process ended; empty if there was none."""
        if attempts and not (last := attempts[-1]).end and (logged := last_logged_error(self._output(part, last))):
            return logged
        ended = [attempt for attempt in attempts if attempt.end]
        return f"{ended[-1].ended_at} {self.reason(part, ended[-1])}" if ended else ""

    @property
    def _supervisord_log(self) -> Path:
        return self._deployment.log("supervisord")

    def _output(self, part: str, attempt: Attempt) -> str:
        path = self._deployment.log(part)
        size = path.stat().st_size if path.exists() else 0
        return output_of(_tail(path, max(0, size - _READ_BYTES)), attempt.pid)


def _tail(path: Path, start: int) -> str:
    """The text of a file from a byte on; empty if there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
