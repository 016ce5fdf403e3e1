"""Decides whether a start can still succeed, from what happened since it began. No I/O, no clock."""

import re
from collections.abc import Sequence
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
UNREACHABLE_SECONDS = timedelta(seconds=15)
"""How long the API may be unreachable."""
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
        self._unreachable: tuple[datetime, str] | None = None

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

    def on_api(self, reason: str, at: datetime) -> None:
        """Set why the poller cannot use the API; empty if it can."""
        self._unreachable = (self._unreachable[0] if self._unreachable else at, reason) if reason else None

    def failure(self, now: datetime) -> str:
        """Why the start cannot succeed; empty while it can."""
        failures = [*map(self._exit, self._exits)]
        if not self.has_model:
            failures += [self._training, self._dead_letter, self._api(now)]
        return next(filter(None, failures), "")

    def _exit(self, part: str) -> str:
        last = self._exits[part][-MAX_EXITS:]
        if len(last) < MAX_EXITS or len({_NUMBER.sub("0", reason) for reason in last}) > 1:
            return ""
        return f"{part} ended {MAX_EXITS} times: {last[-1].removeprefix(f'{part}: ')}"

    def _api(self, now: datetime) -> str:
        if self._served:
            return ""
        if self._refusals:
            return self._refused(now)
        since, reason = self._unreachable or (now, "")
        return reason if now - since >= UNREACHABLE_SECONDS else ""

    def _refused(self, now: datetime) -> str:
        """A wrong answer is enough when it came twice or some seconds ago; a temporary one needs both."""
        (first, _), (_, last) = self._refusals[0], self._refusals[-1]
        often = len(self._refusals) >= MAX_REFUSALS
        temporary = last.status in _TEMPORARY or last.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        long = now - first >= (TEMPORARY_SECONDS if temporary else WRONG_SECONDS)
        return last.reason if (often and long if temporary else often or long) else ""
