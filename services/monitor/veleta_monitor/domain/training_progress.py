"""The course of a training: what its events said so far, and its learning curve."""

from dataclasses import dataclass, replace
from datetime import datetime

from veleta.events.catalogue import (
    RequestPayload,
    TrainingFailed,
    TrainingFinished,
    TrainingProgress,
    TrainingStarted,
)
from veleta.events.envelope import Event
from veleta_monitor.domain.formatting import ago, figure, span

PHASES = {"reading": "Reading batch", "fitting": "Fitting tree", "explaining": "Explaining what it learnt"}


@dataclass(frozen=True)
class Course:
    """The training that began last. Its `phase` began at `since` with `first`; `done` of `of` was said at `at`.

    `curve`: trees, and the error on what is learnt from. `end` says in words how it ended; it is empty while it runs.
    """

    request: str
    at: datetime
    since: datetime
    phase: str = ""
    first: int = 0
    done: int = 0
    of: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    end: str = ""


def follow(course: Course | None, event: Event) -> Course | None:
    """The course after the next event of the topic; events of other requests change nothing."""
    said = event.payload
    if isinstance(said, TrainingStarted):
        return Course(said.request_id, event.time, event.time)
    if course is None or not isinstance(said, RequestPayload) or said.request_id != course.request:
        return course
    if isinstance(said, TrainingProgress):
        return _further(course, said, event.time)
    return replace(course, at=event.time, end=_end(said))


def headline(course: Course, now: datetime) -> str:
    """What it does, or how it ended, in a line."""
    if course.end:
        return f"The last training: {course.end}, {ago(course.at, now)}."
    if not course.phase:
        return f"Began {ago(course.at, now)}"
    counted = f" {figure(course.done)} of {figure(course.of)}" if course.of > 1 else ""
    return f"{PHASES.get(course.phase, course.phase)}{counted}{_left(course, now)}"


def _further(course: Course, said: TrainingProgress, at: datetime) -> Course:
    """A training that is tried again begins its phase, and its curve, again."""
    curve = () if said.phase == "reading" else course.curve
    if said.error is not None:
        curve = (*(point for point in curve if point[0] < said.done), (said.done, said.error))
    again = said.phase != course.phase or said.done <= course.done
    since, first = (at, said.done) if again else (course.since, course.first)
    return Course(course.request, at, since, said.phase, first, said.done, said.of, curve)


def _end(said: RequestPayload) -> str:
    match said:
        case TrainingFinished():
            return f"version {said.version} was {said.decision}"
        case TrainingFailed():
            return f"failed: {said.reason}"
        case _:
            return said.TYPE.removeprefix("training.")


def _left(course: Course, now: datetime) -> str:
    """By the pace of this phase so far; nothing while nobody can know."""
    took, did = (course.at - course.since).total_seconds(), course.done - course.first
    if did == 0:
        return ""
    left = span(took / did * (course.of - course.done) - (now - course.at).total_seconds())
    return f", about {left} left" if left else ""
