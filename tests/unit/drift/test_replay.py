"""What `make replay` prints of batches that it left out."""

from veleta_drift.replay import MAX_NAMED, left_out_lines
from veleta_drift.replayer import Replay


def test_batches_that_were_left_out_are_counted_by_their_reason() -> None:
    """Some are named. Those without a report are counted too."""
    names = ", ".join(f"1/{number}" for number in range(MAX_NAMED))
    left_out = {(1, number): "version 1 was deleted" for number in range(MAX_NAMED + 2)} | {(2, 0): "another"}
    assert [*left_out_lines(Replay(left_out=left_out, unreported=3))] == [
        f"not replayable: {MAX_NAMED + 2} batches ({names} and 2 more): version 1 was deleted",
        "not replayable: 1 batches (2/0): another",
        "without a published report: 3 batches",
    ]
    assert [*left_out_lines(Replay(replayed=[(1, 0)]))] == []
