"""Decides whether a start can still succeed, from what happened since it began. No I/O, no clock."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

from veleta.events.catalogue import (
    BatchClosed,
    BatchRefused,
    ModelPromoted,
    Payload,
    RecordDeadlettered,
    TrainingFailed,
)

MAX_EXITS = 2
"""A part that ended this often in a row for one reason will not start."""
MAX_REFUSALS = 2
"""An API that refused this often, and never served a batch, only refuses."""
WRONG_SECONDS, TEMPORARY_SECONDS = timedelta(seconds=10), timedelta(seconds=20)
"""How long the API may refuse: with an answer that a repetition does not change, and with a temporary one."""
BLOCKED_SECONDS = timedelta(seconds=15)
"""How long a part may wait for what no other part of the run provides."""
BLOCKERS = (("poller", "api"), ("trainer", "planning"))
"""Parts, and what they may wait for that no other part provides: an external API, a plan that fails."""
_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_NUMBER = re.compile(r"\d+")


class FailureDetector:
    """What happened since a start began. Failures of the loop count only until there is a model."""

    def __init__(self, *, has_model: bool = False, has_rows: bool = False) -> None:
        """A run that took rows before waits for its API."""
        self.has_model = has_model
        self._exits: dict[str, Sequence[str]] = {}
        self._training = ""
        self._dead_letter = ""
        self._served = has_rows
        self._refusals: list[tuple[datetime, BatchRefused]] = []
        self._stopped: dict[str, str] = {}
        self._blocked: dict[tuple[str, str], tuple[datetime, str]] = {}

    def on_exits(self, part: str, reasons: Sequence[str]) -> None:
        """Set why the processes of a part ended, the last one last."""
        self._exits[part] = reasons

    def on_event(self, payload: Payload, at: datetime) -> None:
        """Add an event that was published after the start began."""
        match payload:
            case BatchClosed():
                self._served = True
            case BatchRefused():
                self._refusals.append((at, payload))
            case ModelPromoted():
                self.has_model = True
            case TrainingFailed():
                self._training = f"training {payload.short_id} failed: {payload.reason}"
            case RecordDeadlettered():
                self._dead_letter = f"{payload.service} cannot process a record of {payload.topic}: {payload.error}"

    def on_health(self, part: str, waits_for: Mapping[str, str], at: datetime) -> None:
        """Set what a part waits for. A part that waits for itself stopped until it is restarted."""
        if part in waits_for:
            self._stopped[part] = f"{part} stopped: {waits_for[part]}"
        for blocker in BLOCKERS:
            if blocker[0] == part and (reason := waits_for.get(blocker[1])):
                since, _ = self._blocked.get(blocker, (at, ""))
                self._blocked[blocker] = since, reason
            elif blocker[0] == part:
                self._blocked.pop(blocker, None)

    def failure(self, now: datetime) -> str:
        """Why the start cannot succeed; empty while it can."""
        failures = [*map(self._exit, self._exits), *self._stopped.values()]
        if not self.has_model:
            failures += [self._training, self._dead_letter, self._refused(now), *self._blocks(now)]
        return next(filter(None, failures), "")

    def _exit(self, part: str) -> str:
        last = self._exits[part][-MAX_EXITS:]
        if len(last) < MAX_EXITS or len({_NUMBER.sub("0", reason) for reason in last}) > 1:
            return ""
        return f"{part} ended {MAX_EXITS} times: {last[-1].removeprefix(f'{part}: ')}"

    def _blocks(self, now: datetime) -> Iterator[str]:
        for blocker, (since, reason) in self._blocked.items():
            answers = self._served or self._refusals
            if now - since >= BLOCKED_SECONDS and not (blocker == ("poller", "api") and answers):
                yield reason

    def _refused(self, now: datetime) -> str:
        """A wrong answer is enough when it came twice or some seconds ago; a temporary one needs both."""
        if self._served or not self._refusals:
            return ""
        (first, _), (_, last) = self._refusals[0], self._refusals[-1]
        often = len(self._refusals) >= MAX_REFUSALS
        temporary = last.status in _TEMPORARY or last.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        long = now - first >= (TEMPORARY_SECONDS if temporary else WRONG_SECONDS)
        return last.reason if (often and long if temporary else often or long) else ""
