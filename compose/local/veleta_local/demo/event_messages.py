"""What happens in the loop, in sentences. Pure: no I/O, no clock."""

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

Tone = Literal["", "good", "warn", "bad", "quiet"]
"""How a line is set off. Its words say the same."""
_VERDICTS: Mapping[str, Tone] = {"drift": "warn", "no drift": "good", "not enough data": "quiet"}


@dataclass(frozen=True)
class Line:
    """A moment (UTC), whom the sentence is about, and the sentence; without one there is nothing to tell."""

    at: datetime
    subject: str
    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Training:
    """The training under way: `done` of `of` in its phase, which began at `since`; `at` is the last word of it."""

    subject: str
    phase: str
    done: int
    of: int
    since: datetime
    at: datetime

    def seconds_left(self, now: datetime) -> float | None:
        """In this phase, when it goes on at the pace it had; None while there is no pace yet."""
        if not self.done:
            return None
        pace = (self.at - self.since).total_seconds() / self.done
        return max(0.0, pace * self.of - (now - self.since).total_seconds())


class Story:
    """What was heard so far; `training` is the one under way."""

    def __init__(self) -> None:
        self.training: Training | None = None

    def hear(self, event: Event) -> Line | None:
        """Take the next event: its line, or None where others say what it says."""
        payload = event.payload
        if isinstance(payload, TrainingProgress):
            return self._progress(payload, event.time)
        if isinstance(payload, TrainingFinished | TrainingFailed):
            self.training = None
        text, tone = _sentence(payload)
        return Line(event.time, subject(payload), text, tone) if text else None

    def _progress(self, said: TrainingProgress, at: datetime) -> Line | None:
        """Only the first word of a phase is a line."""
        who, before = subject(said), self.training
        if before and (before.subject, before.phase) == (who, said.phase):
            self.training = replace(before, done=said.done, of=said.of, at=at)
            return None
        self.training = Training(who, said.phase, said.done, said.of, since=at, at=at)
        return Line(at, who, said.phase, "quiet")


def subject(payload: Payload) -> str:
    """Whom an event is about."""
    match payload:
        case BatchPayload():
            return f"batch {payload.epoch}/{payload.number}"
        case RequestPayload():
            return f"training {_place(payload.request_id)}"
        case ModelPayload():
            return f"version {payload.version}"
        case Command() | CommandAnswer():
            return "tap"
        case _:
            return "dead letter"


def _place(request_id: str) -> str:
    """Epoch and number of the batch that a training was asked for: `1/4` of `real_estate/1/4/retrain`."""
    return "/".join(request_id.split("/")[1:3]) or request_id


@singledispatch
def _sentence(_payload: Payload) -> tuple[str, Tone]:
    return "", ""


@_sentence.register
def _(said: BatchOpened) -> tuple[str, Tone]:
    return f"arrives with {said.rows:,} rows", ""


@_sentence.register
def _(said: BatchClosed) -> tuple[str, Tone]:
    odd = f"; {'; '.join(said.findings)}" if said.findings else ""
    return f"taken: {said.rows:,} rows are in Kafka{odd}", "warn" if odd else ""


@_sentence.register
def _(said: BatchRefused) -> tuple[str, Tone]:
    return f"refused: {said.reason}", "bad"


@_sentence.register
def _(said: BatchMissed) -> tuple[str, Tone]:
    return f"missed: {said.reason}", "bad"


@_sentence.register
def _(said: DriftAssessed) -> tuple[str, Tone]:
    return f"{said.verdict}: {said.reason}", _VERDICTS[said.verdict]


@_sentence.register
def _(said: RetrainRequested) -> tuple[str, Tone]:
    return f"asks for a model: {said.reason}", ""


@_sentence.register
def _(_said: TrainingStarted) -> tuple[str, Tone]:
    return "starts", ""


@_sentence.register
def _(said: TrainingMerged) -> tuple[str, Tone]:
    return f"is part of training {_place(said.into)}", "quiet"


@_sentence.register
def _(said: TrainingSkipped) -> tuple[str, Tone]:
    return f"is not needed: {said.reason}", "quiet"


@_sentence.register
def _(said: TrainingFailed) -> tuple[str, Tone]:
    return f"failed: {said.reason}", "bad"


@_sentence.register
def _(said: ModelRegistered) -> tuple[str, Tone]:
    mae = said.metrics.get("mae")
    return "is registered" + (f" with an MAE of {mae:,.0f}" if mae is not None else ""), ""


@_sentence.register
def _(said: ModelPromoted) -> tuple[str, Tone]:
    return f"promoted: {said.reason}", "good"


@_sentence.register
def _(said: ModelRejected) -> tuple[str, Tone]:
    return f"rejected, version {said.champion} stays: {said.reason}", "warn"


@_sentence.register
def _(said: Command) -> tuple[str, Tone]:
    return f"{said.actor} asks: {said.TYPE}" + (f" ({said.reason})" if said.reason else ""), ""


@_sentence.register
def _(said: CommandAccepted) -> tuple[str, Tone]:
    return said.effect, "good"


@_sentence.register
def _(said: CommandRefused) -> tuple[str, Tone]:
    return f"refused: {said.reason}", "bad"


@_sentence.register
def _(said: RecordDeadlettered) -> tuple[str, Tone]:
    return f"from {said.service}: {said.reason} (make dead shows it)", "bad"
