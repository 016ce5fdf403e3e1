"""The progress of a training, from its events."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from veleta.events import catalogue as events
from veleta.events.envelope import Event
from veleta_monitor.domain.training_progress import TrainingProgress, apply_event, headline

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
STARTED = events.TrainingStarted(request_id="r", recipe={})


def after(*payloads: events.Payload, progress: TrainingProgress | None = None) -> TrainingProgress:
    """The progress after events that are one second apart; the last one is at NOW."""
    received = [
        Event(f"e{index}", "trainer", NOW - timedelta(seconds=len(payloads) - 1 - index), payload)
        for index, payload in enumerate(payloads)
    ]
    result = reduce(apply_event, received, progress)
    assert result is not None
    return result


def fitting(done: int, error: float) -> events.TrainingProgress:
    return events.TrainingProgress(request_id="r", phase="fitting", done=done, of=100, error=error)


def phase(name: str, done: int = 0, of: int = 1) -> events.TrainingProgress:
    return events.TrainingProgress(request_id="r", phase=name, done=done, of=of)


def test_the_curve_grows_with_the_trees() -> None:
    """Each event of the phase fitting is a point. The next phase does not remove the curve."""
    progress = after(STARTED, phase("reading", 1, 2), fitting(25, 0.5), fitting(50, 0.4), phase("learning errors"))
    assert progress.curve == ((25, 0.5), (50, 0.4))
    assert headline(progress, NOW) == "Learning the size of the errors"


def test_the_time_left_follows_from_the_speed_of_the_phase() -> None:
    """25 trees took one second, so the other 50 take two. The time since the last event is subtracted."""
    progress = after(STARTED, phase("reading", 0, 2), fitting(25, 0.5), fitting(50, 0.4))
    assert headline(progress, NOW) == "Fitting tree 50 of 100, about 2 s left"
    assert headline(progress, NOW + timedelta(seconds=1)) == "Fitting tree 50 of 100, about 1 s left"
    assert headline(progress, NOW + timedelta(seconds=9)) == "Fitting tree 50 of 100"


def test_without_a_speed_no_time_left_is_shown() -> None:
    """One event of a phase gives no speed, and a training that only started has no phase."""
    assert headline(after(STARTED), NOW) == "Started just now"
    assert headline(after(STARTED, phase("reading", 1, 3)), NOW) == "Reading batch 1 of 3"


def test_a_retried_training_restarts_its_curve() -> None:
    """After a kill the child process reads and fits again. No point of the first attempt remains after the new one."""
    progress = after(STARTED, fitting(25, 0.5), fitting(50, 0.4), phase("reading", 0, 2), fitting(25, 0.5))
    assert (progress.curve, progress.done) == (((25, 0.5),), 25)
    progress = after(STARTED, fitting(25, 0.5), fitting(50, 0.4), fitting(25, 0.6))
    assert (progress.curve, progress.phase_started_at) == (((25, 0.6),), NOW)


def test_the_headline_of_a_finished_training_is_its_outcome() -> None:
    """It shows the outcome and its age. The curve remains until the next training starts."""
    finished = events.TrainingFinished(request_id="r", run_id="x", version=4, decision="promoted", metrics={})
    progress = after(STARTED, fitting(25, 0.5), finished)
    assert headline(progress, NOW + timedelta(minutes=3)) == "Last training: version 4 was promoted, 3 min ago."
    assert progress.curve == ((25, 0.5),)
    failed = events.TrainingFailed(request_id="r", reason="out of memory")
    assert after(STARTED, failed).outcome == "failed: out of memory"
    assert after(STARTED, events.TrainingMerged(request_id="r", into="s")).outcome == "merged"
    assert after(STARTED, progress=progress) == TrainingProgress("r", NOW, NOW)


def test_events_of_other_requests_change_nothing() -> None:
    """Another request that is skipped does not finish this training. Without a start there is no progress."""
    progress = after(STARTED, events.TrainingSkipped(request_id="other", reason="x"))
    assert progress.outcome == ""
    assert apply_event(None, Event("e", "trainer", NOW, fitting(25, 0.5))) is None
