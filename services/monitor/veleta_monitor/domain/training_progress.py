"""The progress of the latest training, from its events."""

from dataclasses import dataclass, replace
from datetime import datetime

from veleta.events import catalogue as events
from veleta.events.envelope import Event
from veleta_monitor.domain.formatting import format_age, format_number, format_span

PHASES = {
    "reading": "Reading batch",
    "building features": "Building features",
    "fitting": "Fitting tree",
    "learning errors": "Learning the size of the errors",
    "evaluating": "Measuring the models",
}


@dataclass(frozen=True)
class TrainingProgress:
    """The training that started last.

    Its phase started at `phase_started_at` with `phase_start` units done. `done` of `total` is from `updated_at`.
    `curve` has (number of trees, training error) points. `outcome` is empty while the training runs.
    """

    request_id: str
    updated_at: datetime
    phase_started_at: datetime
    phase: str = ""
    phase_start: int = 0
    done: int = 0
    total: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    outcome: str = ""


def apply_event(progress: TrainingProgress | None, event: Event) -> TrainingProgress | None:
    """The progress after the next event of the topic. Events of other requests change nothing."""
    payload = event.payload
    if isinstance(payload, events.TrainingStarted):
        return TrainingProgress(payload.request_id, event.time, event.time)
    if (
        progress is None
        or not isinstance(payload, events.TrainingRequestPayload)
        or payload.request_id != progress.request_id
    ):
        return progress
    if isinstance(payload, events.TrainingProgress):
        return _advance(progress, payload, event.time)
    return replace(progress, updated_at=event.time, outcome=_outcome(payload))


def headline(progress: TrainingProgress, now: datetime) -> str:
    """What the training does now, or its outcome, in one line."""
    if progress.outcome:
        return f"Last training: {progress.outcome}, {format_age(progress.updated_at, now)}."
    if not progress.phase:
        return f"Started {format_age(progress.updated_at, now)}"
    total = progress.total
    count = f" {format_number(progress.done)} of {format_number(total)}" if total > 1 else ""
    return f"{PHASES.get(progress.phase, progress.phase)}{count}{_time_left(progress, now)}"


def _advance(progress: TrainingProgress, payload: events.TrainingProgress, at: datetime) -> TrainingProgress:
    """A retried training restarts its phase and its curve."""
    curve = () if payload.phase == "reading" else progress.curve
    if payload.error is not None:
        curve = (*(point for point in curve if point[0] < payload.done), (payload.done, payload.error))
    restarted = payload.phase != progress.phase or payload.done <= progress.done
    since, start = (at, payload.done) if restarted else (progress.phase_started_at, progress.phase_start)
    return TrainingProgress(progress.request_id, at, since, payload.phase, start, payload.done, payload.of, curve)


def _outcome(payload: events.TrainingRequestPayload) -> str:
    match payload:
        case events.TrainingFinished():
            return f"version {payload.version} was {payload.decision}"
        case events.TrainingFailed():
            return f"failed: {payload.reason}"
        case _:
            return payload.TYPE.removeprefix("training.")


def _time_left(progress: TrainingProgress, now: datetime) -> str:
    """An estimate from the speed of this phase so far. Empty without a speed, and below a second."""
    done = progress.done - progress.phase_start
    if done == 0:
        return ""
    elapsed = progress.updated_at - progress.phase_started_at
    left = elapsed * (progress.total - progress.done) / done - (now - progress.updated_at)
    span = format_span(left.total_seconds())
    return f", about {span} left" if span else ""
