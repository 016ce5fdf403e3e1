"""The state in position.json."""

import json

from veleta_poller.adapters.state_json import decode_state, encode_state
from veleta_poller.domain.poll_mode import PollMode
from veleta_poller.domain.sequence import Position
from veleta_poller.domain.state import Phase, PollerState, Reply

STORED = (
    '{"position":{"epoch":2,"number":3,"digest":"d"},"restart_of":2,"torn":true,"notes":["n"],"largest":7,'
    '"tap":{"mode":"manual","paused":true,"wanted":4,"pauses":5},'
    '"replies":[{"command":"d/poll/1","accepted":true,"words":"done"}]}'
)
"""The text that the first version wrote."""
STATE = PollerState(
    Position(2, 3, "d"),
    restarted_after=2,
    partial_received=True,
    findings=("n",),
    largest_response=7,
    poll_mode=PollMode("manual", paused=True, requested=4),
    replies=(Reply("d/poll/1", accepted=True, text="done"),),
)


def test_a_state_of_the_first_version_is_read() -> None:
    """A run continues after an update."""
    assert decode_state(STORED.encode()) == STATE


def test_a_state_is_written_with_the_keys_of_the_first_version() -> None:
    """Except the counter of pauses, which has a default there."""
    expected = json.loads(STORED)
    del expected["tap"]["pauses"]
    assert json.loads(encode_state(STATE)) == expected


def test_keys_that_were_added_later_have_defaults() -> None:
    """Older files have only the position and the notes."""
    assert decode_state(b'{"position":{"epoch":1,"number":2},"notes":[]}') == PollerState(Position(1, 2))


def test_the_phase_is_not_stored() -> None:
    """A restarted poller requests the next batch again."""
    ended = PollerState(Position(1, 2)).data_ended().polling_ended()
    assert ended.phase is Phase.ENDED
    assert decode_state(encode_state(ended)) == PollerState(Position(1, 2))
