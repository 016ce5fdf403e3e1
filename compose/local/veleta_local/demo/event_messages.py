"""Turns events into lines of text. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import singledispatch
from typing import Literal

from veleta.events.catalogue import (
    BatchClosed,
    BatchMissed,
    BatchOpened,
    BatchPayload,
    BatchRefused,
    Command,
    CommandAccepted,
    CommandAnswer,
    CommandRefused,
    DriftAssessed,
    ModelPayload,
    ModelPromoted,
    ModelRegistered,
    ModelRejected,
    Payload,
    RecordDeadlettered,
    RequestPayload,
    RetrainRequested,
    TrainingFailed,
    TrainingFinished,
    TrainingMerged,
    TrainingProgress,
    TrainingSkipped,
    TrainingStarted,
)
from veleta.events.envelope import Event

Level = Literal["info", "success", "warning", "error", "detail"]
"""Only the colour of a message depends on it."""
_VERDICTS: Mapping[str, Level] = {"drift": "warning", "no drift": "success", "not enough data": "detail"}


@dataclass(frozen=True)
class Message:
    """A line of the demo: a time (UTC), the subject, and what happened to it."""

    at: datetime
    subject: str
    text: str
    level: Level = "info"


@dataclass(frozen=True)
class CurrentTraining:
    """The running training: `done` of `of` steps in a phase that began at `since`; `at` is the last progress event."""

    subject: str
    phase: str
    done: int
    of: int
    since: datetime
    at: datetime

    def seconds_left(self, now: datetime) -> float | None:
        """Until the end of the phase at the pace so far; None before the first step."""
        if not self.done:
            return None
        pace = (self.at - self.since).total_seconds() / self.done
        return max(0.0, pace * self.of - (now - self.since).total_seconds())


class EventMessages:
    """Messages for a sequence of events; `training` is the running training after them."""

    def __init__(self) -> None:
        self.training: CurrentTraining | None = None

    def on_event(self, event: Event) -> Message | None:
        """The message for the next event; None if other messages contain the same."""
        payload = event.payload
        if isinstance(payload, TrainingProgress):
            return self._on_progress(payload, event.time)
        if isinstance(payload, TrainingFinished | TrainingFailed):
            self.training = None
        text, level = _text(payload)
        return Message(event.time, subject(payload), text, level) if text else None

    def _on_progress(self, progress: TrainingProgress, at: datetime) -> Message | None:
        """Only the first progress of a phase has a message."""
        name, before = subject(progress), self.training
        if before and (before.subject, before.phase) == (name, progress.phase):
            self.training = replace(before, done=progress.done, of=progress.of, at=at)
            return None
        self.training = CurrentTraining(name, progress.phase, progress.done, progress.of, since=at, at=at)
        return Message(at, name, progress.phase, "detail")


def subject(payload: Payload) -> str:
    """What an event is about."""
    match payload:
        case BatchPayload():
            return f"batch {payload.epoch}/{payload.number}"
        case RequestPayload():
            return f"training {_batch_of(payload.request_id)}"
        case ModelPayload():
            return f"version {payload.version}"
        case Command() | CommandAnswer():
            return "polling"
        case _:
            return "dead letter"


def _batch_of(request_id: str) -> str:
    """Epoch and number of the batch that caused a training: `1/4` for `real_estate/1/4/retrain`."""
    return "/".join(request_id.split("/")[1:3]) or request_id


@singledispatch
def _text(_payload: Payload) -> tuple[str, Level]:
    return "", "info"


@_text.register
def _(payload: BatchOpened) -> tuple[str, Level]:
    return f"fetched: {payload.rows:,} rows", "info"


@_text.register
def _(payload: BatchClosed) -> tuple[str, Level]:
    findings = "".join(f"; {finding}" for finding in payload.findings)
    return f"published: {payload.rows:,} rows{findings}", "warning" if findings else "info"


@_text.register
def _(payload: BatchRefused) -> tuple[str, Level]:
    return f"refused: {payload.reason}", "error"


@_text.register
def _(payload: BatchMissed) -> tuple[str, Level]:
    return f"missed: {payload.reason}", "error"


@_text.register
def _(payload: DriftAssessed) -> tuple[str, Level]:
    return f"{payload.verdict}: {payload.reason}", _VERDICTS[payload.verdict]


@_text.register
def _(payload: RetrainRequested) -> tuple[str, Level]:
    return f"training requested: {payload.reason}", "info"


@_text.register
def _(_: TrainingStarted) -> tuple[str, Level]:
    return "started", "info"


@_text.register
def _(payload: TrainingMerged) -> tuple[str, Level]:
    return f"merged into training {_batch_of(payload.into)}", "detail"


@_text.register
def _(payload: TrainingSkipped) -> tuple[str, Level]:
    return f"skipped: {payload.reason}", "detail"


@_text.register
def _(payload: TrainingFailed) -> tuple[str, Level]:
    return f"failed: {payload.reason}", "error"


@_text.register
def _(payload: ModelRegistered) -> tuple[str, Level]:
    mae = payload.metrics.get("mae")
    return "registered" + (f": MAE {mae:,.0f}" if mae is not None else ""), "info"


@_text.register
def _(payload: ModelPromoted) -> tuple[str, Level]:
    return f"promoted: {payload.reason}", "success"


@_text.register
def _(payload: ModelRejected) -> tuple[str, Level]:
    return f"rejected, version {payload.champion} stays champion: {payload.reason}", "warning"


@_text.register
def _(payload: Command) -> tuple[str, Level]:
    return f"{payload.TYPE} requested by {payload.actor}" + (f": {payload.reason}" if payload.reason else ""), "info"


@_text.register
def _(payload: CommandAccepted) -> tuple[str, Level]:
    return payload.effect, "success"


@_text.register
def _(payload: CommandRefused) -> tuple[str, Level]:
    return f"refused: {payload.reason}", "error"


@_text.register
def _(payload: RecordDeadlettered) -> tuple[str, Level]:
    return f"{payload.service}: {payload.reason} (make dead shows it)", "error"
