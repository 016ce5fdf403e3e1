"""Turns events into lines of text. No I/O, no clock."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from veleta.events.catalogue import (
    AcceptLevel,
    BatchClosed,
    BatchMissed,
    BatchOpened,
    BatchPayload,
    BatchRefused,
    Cancel,
    Command,
    CommandAccepted,
    CommandAnswer,
    CommandRefused,
    DriftAssessed,
    IntervalsAdjusted,
    LevelUpdated,
    ModelPayload,
    ModelPromoted,
    ModelRegistered,
    ModelRejected,
    Payload,
    PinLevel,
    Promote,
    RecordDeadlettered,
    ResetLevel,
    Retrain,
    RetrainJudged,
    RetrainRequested,
    Rollback,
    RollbackProposed,
    TrainingFailed,
    TrainingFinished,
    TrainingMerged,
    TrainingProgress,
    TrainingRequestPayload,
    TrainingSkipped,
    TrainingStarted,
    short_request_id,
)
from veleta.events.envelope import Event
from veleta.left_out import describe_left_out, left_out_warning

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
        self._ids: set[str] = set()

    def on_event(self, event: Event) -> Message | None:
        """The message for the next event; None if other messages contain the same, or the topic has the event twice."""
        if event.id in self._ids:
            return None
        self._ids.add(event.id)
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
        case TrainingRequestPayload():
            return f"training {payload.short_id}"
        case ModelPayload():
            return f"version {payload.version}"
        case Command(TYPE=kind):
            return _addressee(kind)
        case CommandAnswer(command=command_id):
            return _addressee("".join(command_id.split("/")[1:2]))
        case _:
            return "dead letter"


def loaded_message(row: Mapping[str, Any]) -> Message:
    """The message for a loaded batch, from its row in the batch table."""
    name, rejected = f"{row['epoch']}/{row['number']}", row["rejected"] or {}
    text = f"loaded: {row['cleaned']:,} clean rows"
    if left_out := describe_left_out(row["received"], rejected):
        text += f"; {left_out}"
    level: Level = "warning" if left_out_warning(name, row["received"], rejected) else "info"
    return Message(row["loaded_at"].replace(tzinfo=UTC), f"batch {name}", text, level)


def _addressee(kind: str) -> str:
    """What a command of this type is about."""
    if kind in (Retrain.TYPE, Promote.TYPE, Rollback.TYPE, Cancel.TYPE):
        return "trainer"
    return "level" if kind in (PinLevel.TYPE, AcceptLevel.TYPE, ResetLevel.TYPE) else "polling"


def _text(payload: Payload) -> tuple[str, Level]:  # noqa: C901, PLR0911, PLR0912 - one case for each event
    """The text for an event, and its level; an empty text for an event without a message."""
    match payload:
        case BatchOpened():
            return f"fetched: {payload.rows:,} rows", "info"
        case BatchClosed():
            text = "; ".join([f"published: {payload.rows:,} rows", *payload.findings])
            return text, "warning" if payload.findings else "info"
        case BatchRefused():
            return f"refused: {payload.reason}", "error"
        case BatchMissed():
            return f"missed: {payload.reason}", "error"
        case DriftAssessed():
            text = "; ".join([f"{payload.verdict}: {payload.reason}", *payload.findings])
            return text, "warning" if payload.findings else _VERDICTS[payload.verdict]
        case RetrainJudged():
            change = f"MAE {payload.change:+.1%} against version {payload.previous}"
            text = f"the training of version {payload.version}: {payload.verdict} ({change})"
            return text, "warning" if payload.verdict == "harmed" else "info"
        case RollbackProposed():
            return f"rollback to version {payload.previous} proposed: {payload.reason}", "warning"
        case RetrainRequested():
            return f"training requested: {payload.reason}", "info"
        case TrainingStarted():
            return "started", "info"
        case TrainingMerged():
            return f"merged into training {short_request_id(payload.into)}", "detail"
        case TrainingSkipped():
            return f"skipped: {payload.reason}", "detail"
        case TrainingFailed():
            return f"failed: {payload.reason}", "error"
        case ModelRegistered():
            mae = payload.metrics.get("mae")
            return "registered" if mae is None else f"registered: MAE {mae:,.0f}", "info"
        case ModelPromoted():
            return f"promoted: {payload.reason}", "success"
        case ModelRejected():
            return f"rejected, version {payload.champion} stays champion: {payload.reason}", "warning"
        case IntervalsAdjusted():
            text = (
                f"intervals had {payload.coverage:.0%} of {payload.rows:,} prices of {payload.epoch}/{payload.number}"
            )
            return f"{text}: level {payload.level_before:.2f} -> {payload.level:.2f}", "detail"
        case LevelUpdated():
            level: Level = "warning" if payload.outcome == "waiting" else "info"
            factor = math.exp(payload.value)
            text = f"prices of {payload.period:%Y-%m} x {factor:.3f} ± {factor * payload.error:.3f}: {payload.outcome}"
            return f"{text}, {payload.reason}", level
        case Command():
            reason = f": {payload.reason}" if payload.reason else ""
            address = f" at {payload.address}" if payload.address else ""
            return f"{payload.TYPE} requested by {payload.actor}{address}{reason}", "info"
        case CommandAccepted():
            return payload.effect, "success"
        case CommandRefused():
            return f"refused: {payload.reason}", "error"
        case RecordDeadlettered():
            return f"{payload.service}: {payload.reason} (make dead shows it)", "error"
        case _:
            return "", "info"
