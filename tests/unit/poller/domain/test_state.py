"""The transitions of the poller's state."""

from veleta.events.catalogue import Pause, Poll, Resume
from veleta_poller.domain.sequence import BatchId, Position, TopicState
from veleta_poller.domain.state import Phase, PollerState, PollMode, Reply

POLL, PAUSE = Poll(dataset="d", actor="ana"), Pause(dataset="d", actor="ana")


def test_a_published_batch_moves_the_position() -> None:
    """What was noted since the last batch is in its manifest."""
    state = PollerState(Position(2, 3, "d3"), partial_received=True, findings=("batch 3 came twice",))
    published = state.batch_published(BatchId(2, 4), "d4", 7, 9)
    assert published == PollerState(Position(2, 4, "d4"), topic=TopicState(9, Position(2, 4, "d4"), group=7))


def test_a_missed_batch_moves_the_position() -> None:
    """It is the batch that was expected. Findings wait for the next manifest."""
    state = PollerState(Position(2, 3, "d3"), partial_received=True, findings=("f",))
    assert state.batch_missed() == PollerState(Position(2, 4), findings=("f",))


def test_a_repeat_is_noted_once() -> None:
    """The position does not move."""
    state = PollerState(Position(2, 3, "d3")).with_finding("batch 3 came twice")
    assert state == PollerState(Position(2, 3, "d3"), findings=("batch 3 came twice",))
    assert state.with_finding("batch 3 came twice") == state


def test_an_interrupted_response_does_not_move_the_position() -> None:
    """The next number shows whether its batch is lost."""
    state = PollerState(Position(2, 3)).response_interrupted()
    assert (state.expected, state.partial_received) == (BatchId(2, 4), True)


def test_the_largest_published_response_counts() -> None:
    """A smaller one does not replace it."""
    assert PollerState().response_published(7).response_published(5).largest_response == 7


def test_the_later_position_is_loaded() -> None:
    """The inbox or a topic may have been lost."""
    state = PollerState(Position(2, 3))
    assert state.topic_read(TopicState()) == state
    assert state.topic_read(TopicState(8, Position(2, 4, "d"))).position == Position(2, 4, "d")


def test_after_a_restart_batch_0_of_the_next_epoch_is_expected() -> None:
    """Until a batch is published. A requested poll is requested again."""
    state = PollerState(Position(2, 3), poll_mode=PollMode(paused=True, requested=1)).poll_started().data_ended()
    assert (state.phase, state.restarting, state.expected) == (Phase.END_OF_DATA, False, (2, 4))
    restarted = state.restart_requested()
    assert (restarted.phase, restarted.restarting, restarted.expected) == (Phase.POLLING, True, (3, 0))
    assert restarted.poll_mode.requested == 1
    assert restarted.place(0, "d").batch == (3, 0)
    published = restarted.batch_published(BatchId(3, 0), "d", None, None)
    assert (published.restarting, published.expected) == (False, (3, 1))


def test_polling_ends_at_the_end_of_the_data() -> None:
    """With AT_END=stop requested polls are dropped, and the mode stays."""
    ended = PollerState(poll_mode=PollMode(paused=True, requested=2)).data_ended().polling_ended()
    assert (ended.phase, ended.poll_mode) == (Phase.ENDED, PollMode(paused=True))


def test_a_paused_poller_polls_only_on_request() -> None:
    """Without a pause it polls automatically."""
    assert PollMode().allows_poll
    assert not PollMode(paused=True).allows_poll
    assert PollMode(paused=True, requested=1).allows_poll


def test_a_poll_without_a_batch_is_requested_again() -> None:
    """Only if it was requested by command, and only once."""
    requested = PollerState(poll_mode=PollMode(paused=True, requested=1))
    assert requested.poll_started().poll_mode.requested == 0
    assert requested.poll_started().poll_failed() == requested
    assert requested.poll_started().poll_failed().poll_failed() == requested
    assert PollerState().poll_started().poll_failed() == PollerState()
    assert requested.poll_started().poll_started().poll_failed().poll_mode.requested == 0


def test_a_pause_cancels_requested_polls() -> None:
    """Also the one that runs, if the API does not get its request."""
    paused = PollMode(paused=True)
    assert PollerState(poll_mode=PollMode(requested=2)).command_handled("1", PAUSE, "").poll_mode == paused
    state = PollerState(poll_mode=PollMode(paused=True, requested=1)).poll_started()
    assert state.command_handled("1", PAUSE, "").poll_failed().poll_mode == paused


def test_resume_keeps_the_requested_polls() -> None:
    """They start without waiting for the interval."""
    state = PollerState(poll_mode=PollMode(paused=True, requested=2))
    resumed = state.command_handled("1", Resume(dataset="d", actor="ana"), "")
    assert resumed.poll_mode == PollMode(requested=2)


def test_a_command_and_its_reply_are_one_transition() -> None:
    """A crash can lose neither the effect nor the reply."""
    state = PollerState().command_handled("1", POLL, refusal="")
    assert state.poll_mode.requested == 1
    assert [(r.command, r.accepted) for r in state.replies] == [("1", True)]
    paused = state.command_handled("2", PAUSE, refusal="")
    assert (paused.poll_mode, [r.command for r in paused.replies]) == (PollMode(paused=True), ["1", "2"])


def test_a_refused_command_changes_nothing_but_the_replies() -> None:
    """The reply has the reason."""
    state = PollerState().command_handled("1", POLL, refusal="too late")
    assert state == PollerState(replies=(Reply("1", accepted=False, text="too late"),))


def test_published_replies_are_removed() -> None:
    """Those that were added meanwhile stay."""
    one, two = Reply("1", accepted=True, text="a"), Reply("2", accepted=True, text="b")
    assert PollerState(replies=(one, two)).replies_published((one,)) == PollerState(replies=(two,))


def test_a_changed_setting_replaces_the_mode() -> None:
    """An unchanged setting does not undo the commands."""
    state = PollerState(poll_mode=PollMode("auto", paused=True, requested=1))
    assert state.mode_configured("auto") == state
    assert state.mode_configured("manual").poll_mode == PollMode("manual", paused=True)
    assert state.mode_configured("manual").mode_configured("auto").poll_mode == PollMode("auto")
