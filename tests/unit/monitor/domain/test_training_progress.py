"""The course of a training, from its events."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from veleta.events.catalogue import (
    Payload,
    TrainingFailed,
    TrainingFinished,
    TrainingMerged,
    TrainingProgress,
    TrainingSkipped,
    TrainingStarted,
)
from veleta.events.envelope import Event
from veleta_monitor.domain.training_progress import Course, follow, headline

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
STARTED = TrainingStarted(request_id="r", recipe={})


def after(*said: Payload, course: Course | None = None) -> Course:
    """The course after events that are a second apart; the last one is now."""
    events = [
        Event(f"e{place}", "trainer", NOW - timedelta(seconds=len(said) - 1 - place), payload)
        for place, payload in enumerate(said)
    ]
    found = reduce(follow, events, course)
    assert found is not None
    return found


def fitting(done: int, error: float) -> TrainingProgress:
    return TrainingProgress(request_id="r", phase="fitting", done=done, of=100, error=error)


def phase(name: str, done: int = 0, of: int = 1) -> TrainingProgress:
    return TrainingProgress(request_id="r", phase=name, done=done, of=of)


def test_the_curve_grows_with_the_trees() -> None:
    """Each word of the fitting is a point; explaining keeps the curve."""
    course = after(STARTED, phase("reading", 1, 2), fitting(25, 0.5), fitting(50, 0.4), phase("explaining"))
    assert course.curve == ((25, 0.5), (50, 0.4))
    assert headline(course, NOW) == "Explaining what it learnt"


def test_the_time_left_goes_by_the_pace_of_the_phase() -> None:
    """25 trees took a second, so the other 50 take two; how long ago that was said is taken off."""
    course = after(STARTED, phase("reading", 0, 2), fitting(25, 0.5), fitting(50, 0.4))
    assert headline(course, NOW) == "Fitting tree 50 of 100, about 2 s left"
    assert headline(course, NOW + timedelta(seconds=1)) == "Fitting tree 50 of 100, about 1 s left"
    assert headline(course, NOW + timedelta(seconds=9)) == "Fitting tree 50 of 100"


def test_before_there_is_a_pace_no_time_is_told() -> None:
    """One word of a phase is no pace, and a training that only began has no phase."""
    assert headline(after(STARTED), NOW) == "Began just now"
    assert headline(after(STARTED, phase("reading", 1, 3)), NOW) == "Reading batch 1 of 3"


def test_a_training_that_is_tried_again_begins_again() -> None:
    """After a kill the child reads and fits anew: no point of the first try stays behind the present one."""
    course = after(STARTED, fitting(25, 0.5), fitting(50, 0.4), phase("reading", 0, 2), fitting(25, 0.5))
    assert (course.curve, course.done) == (((25, 0.5),), 25)
    course = after(STARTED, fitting(25, 0.5), fitting(50, 0.4), fitting(25, 0.6))
    assert (course.curve, course.since) == (((25, 0.6),), NOW)


def test_the_end_is_told_in_words() -> None:
    """What came of it, and when; the curve stays until the next training begins."""
    finished = TrainingFinished(request_id="r", run_id="x", version=4, decision="promoted", metrics={})
    course = after(STARTED, fitting(25, 0.5), finished)
    assert headline(course, NOW + timedelta(minutes=3)) == "The last training: version 4 was promoted, 3 min ago."
    assert course.curve == ((25, 0.5),)
    failed = TrainingFailed(request_id="r", reason="out of memory")
    assert after(STARTED, failed).end == "failed: out of memory"
    assert after(STARTED, TrainingMerged(request_id="r", into="s")).end == "merged"
    assert after(STARTED, course=course) == Course("r", NOW, NOW)


def test_other_requests_change_nothing() -> None:
    """A request that is skipped while this one is trained is not its end; without a beginning there is no course."""
    course = after(STARTED, TrainingSkipped(request_id="other", reason="x"))
    assert course.end == ""
    assert follow(None, Event("e", "trainer", NOW, fitting(25, 0.5))) is None
