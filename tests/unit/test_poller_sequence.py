"""What a batch's number and digest tell."""

import pytest

from veleta.events.catalogue import BatchClosed, BatchMissed, BatchRefused, Payload
from veleta_poller.domain.sequence import Position, Step, decide, fold, further

HERE = Position(2, 3, "d3")


def test_the_first_batch_ever_opens_epoch_1() -> None:
    """Epochs count from 1, numbers from 0."""
    assert decide(Position(), 0, "d", restarting=False) == Step("take", 1, 0)


def test_a_first_batch_that_is_not_0_has_missed_the_ones_before() -> None:
    """Somebody else took them; they come again in the next epoch."""
    assert decide(Position(), 2, "d", restarting=False) == Step("take", 1, 2, range(2))


def test_the_next_number_is_in_order() -> None:
    """Nothing to say."""
    assert decide(HERE, 4, "d", restarting=False) == Step("take", 2, 4)


def test_a_number_above_the_expected_one_leaves_a_gap() -> None:
    """Each number in between was missed."""
    assert decide(HERE, 6, "d", restarting=False) == Step("take", 2, 6, range(4, 6))


def test_an_unexpected_0_is_a_new_epoch() -> None:
    """Somebody restarted the API."""
    step = decide(HERE, 0, "d", restarting=False)
    assert (step.kind, step.epoch, step.number, list(step.missed)) == ("take", 3, 0, [])
    assert "restarted elsewhere" in step.finding


def test_a_lower_number_is_a_new_epoch_whose_beginning_was_missed() -> None:
    """Somebody restarted the API and took batches before us."""
    step = decide(HERE, 2, "d", restarting=False)
    assert (step.epoch, step.number, list(step.missed)) == (3, 2, [0, 1])
    assert "restarted elsewhere" in step.finding


def test_the_same_rows_again_are_a_repeat() -> None:
    """Nothing is published twice."""
    step = decide(HERE, 3, "d3", restarting=False)
    assert (step.kind, step.epoch, step.number) == ("repeat", 2, 3)
    assert "twice" in step.finding


def test_the_same_number_with_other_rows_is_a_new_epoch() -> None:
    """A number has one content in an epoch."""
    step = decide(HERE, 3, "other", restarting=False)
    assert (step.kind, step.epoch, step.number, list(step.missed)) == ("take", 3, 3, [0, 1, 2])
    assert "other rows" in step.finding


def test_0_confirms_an_announced_restart() -> None:
    """Even when the rows are those of the last batch, as with an API of one batch."""
    assert decide(HERE, 0, "d", restarting=True) == Step("take", 3, 0)
    assert decide(Position(1, 0, "same"), 0, "same", restarting=True) == Step("take", 2, 0)


@pytest.mark.parametrize("number", [1, 3, 4])
def test_anything_but_0_after_an_announced_restart_is_a_finding(number: int) -> None:
    """The API was told to begin with 0: another client was faster."""
    step = decide(HERE, number, "d3", restarting=True)
    assert (step.kind, step.epoch, step.number, list(step.missed)) == ("take", 3, number, list(range(number)))
    assert f"batch {number}, not 0" in step.finding


@pytest.mark.parametrize(("position", "due"), [(Position(), (1, 0)), (HERE, (2, 4))])
def test_the_batch_that_is_due(position: Position, due: tuple[int, int]) -> None:
    """Refusals are recorded under the number that was expected."""
    assert position.due == due


def test_closed_and_missed_batches_make_the_position() -> None:
    """A refused answer is no batch: its number is still due."""
    told: list[Payload] = [
        _closed(1, 0),
        _closed(1, 1),
        BatchMissed(dataset="d", epoch=1, number=2, reason="r"),
        BatchRefused(dataset="d", epoch=1, number=3, reason="r", status=500, body="b"),
    ]
    assert fold(told[:2]) == Position(1, 1, "1/1")
    assert fold(told) == Position(1, 2)
    assert fold([*told, _closed(2, 0)]) == Position(2, 0, "2/0")
    assert fold([]) == Position()


def test_the_position_that_is_further_on_counts() -> None:
    """A lost inbox must not begin at epoch 1 again, nor a lost topic take a batch twice."""
    assert further(HERE, Position()) == further(Position(), HERE) == HERE
    assert further(Position(3, 0), HERE) == Position(3, 0)


def _closed(epoch: int, number: int) -> BatchClosed:
    where = {"dataset": "d", "epoch": epoch, "number": number, "digest": f"{epoch}/{number}"}
    return BatchClosed.model_validate({**where, "rows": 1, "chunks": 1, "dataset_digest": "x", "ranges": []})
