"""Which polls the poll mode allows."""

from veleta.events.catalogue import Pause, Poll, Resume
from veleta_poller.domain.poll_mode import PollMode

PAUSED = PollMode(paused=True)


def test_a_paused_poller_polls_only_on_request() -> None:
    """Without a pause it polls automatically."""
    assert PollMode().allows_poll
    assert not PAUSED.allows_poll
    assert PAUSED.apply(Poll(dataset="d", actor="ana"))[0].allows_poll


def test_resume_keeps_the_requested_polls() -> None:
    """They are fetched without waiting for the interval."""
    resumed, _ = PollMode(paused=True, requested=2).apply(Resume(dataset="d", actor="ana"))
    assert resumed == PollMode(requested=2)


def test_a_pause_cancels_requested_polls() -> None:
    """Also the one that is being served, if the API does not get its request."""
    pause = Pause(dataset="d", actor="ana")
    assert PollMode(requested=2).apply(pause)[0] == PAUSED
    paused, _ = PollMode(paused=True, requested=1).consume().apply(pause)
    assert paused.restore() == PAUSED


def test_a_poll_without_a_batch_is_requested_again() -> None:
    """Only if it was requested by command, and only once."""
    requested = PollMode(paused=True, requested=1)
    assert requested.consume().requested == 0
    assert requested.consume().restore() == requested
    assert requested.consume().restore().restore() == requested
    assert PollMode().consume().restore() == PollMode()
    assert requested.consume().consume().restore().requested == 0


def test_a_changed_setting_replaces_the_mode() -> None:
    """An unchanged setting does not undo the commands."""
    assert PollMode("auto", paused=True, requested=1).configure("auto") == PollMode("auto", paused=True, requested=1)
    assert PollMode("auto", requested=1).configure("manual") == PollMode("manual", paused=True)
    assert PollMode("manual", paused=True, requested=1).configure("auto") == PollMode("auto")
