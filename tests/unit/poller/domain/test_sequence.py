"""Where a batch belongs in the sequence."""

from collections.abc import Iterable
from functools import reduce

import pytest

from veleta.events.catalogue import BatchClosed, BatchMissed, BatchRefused, DatasetDeclared, Payload
from veleta_poller.domain.sequence import (
    MAX_BATCH_NUMBER,
    BatchId,
    Placement,
    Position,
    TopicState,
    latest,
    place_batch,
)

LAST = Position(2, 3, "d3")


def ids(epoch: int, *numbers: int) -> tuple[BatchId, ...]:
    """The ids of batches of one epoch."""
    return tuple(BatchId(epoch, number) for number in numbers)


def test_the_first_batch_begins_epoch_1() -> None:
    """Epochs count from 1, numbers from 0."""
    assert place_batch(Position(), 0, "d", restarting=False) == Placement(BatchId(1, 0))


def test_a_first_batch_that_is_not_0_has_missed_the_ones_before() -> None:
    """Another client fetched them. They come again in the next epoch."""
    for restarting in (False, True):
        assert place_batch(Position(), 2, "d", restarting) == Placement(BatchId(1, 2), ids(1, 0, 1))


def test_the_next_number_is_in_order() -> None:
    """There is no finding."""
    assert place_batch(LAST, 4, "d", restarting=False) == Placement(BatchId(2, 4))


@pytest.mark.failure("F274")
@pytest.mark.parametrize("number", [4, 6])
def test_a_later_number_with_the_same_rows_is_a_finding(number: int) -> None:
    """It is published: only the same number again is a repeat."""
    placement = place_batch(LAST, number, "d3", restarting=False)
    assert placement.batch == BatchId(2, number)
    assert placement.finding == f"batch {number} has the same rows as batch 3"


def test_a_number_above_the_expected_one_skips_batches() -> None:
    """Each number in between was missed."""
    assert place_batch(LAST, 6, "d", restarting=False) == Placement(BatchId(2, 6), ids(2, 4, 5))


@pytest.mark.failure("F76")
def test_an_unexpected_0_begins_an_epoch() -> None:
    """Another client restarted the API."""
    placement = place_batch(LAST, 0, "d", restarting=False)
    assert (placement.batch, placement.missed, placement.repeated) == (BatchId(3, 0), (), False)
    assert "another client restarted the API" in placement.finding


def test_a_lower_number_begins_an_epoch_whose_first_batches_were_missed() -> None:
    """Another client restarted the API and fetched batches before."""
    placement = place_batch(LAST, 2, "d", restarting=False)
    assert (placement.batch, placement.missed) == (BatchId(3, 2), ids(3, 0, 1))
    assert "another client restarted the API" in placement.finding


def test_the_same_number_with_the_same_rows_is_a_repeat() -> None:
    """Nothing is published twice."""
    placement = place_batch(LAST, 3, "d3", restarting=False)
    assert (placement.batch, placement.repeated) == (BatchId(2, 3), True)
    assert "twice" in placement.finding


@pytest.mark.failure("F77")
def test_the_same_number_with_other_rows_begins_an_epoch() -> None:
    """A number has one content in an epoch."""
    placement = place_batch(LAST, 3, "other", restarting=False)
    assert (placement.batch, placement.missed, placement.repeated) == (BatchId(3, 3), ids(3, 0, 1, 2), False)
    assert "other rows" in placement.finding


def test_0_confirms_a_restart() -> None:
    """Also if the rows are those of the last batch, as with an API of one batch."""
    assert place_batch(LAST, 0, "d", restarting=True) == Placement(BatchId(3, 0))
    assert place_batch(Position(1, 0, "same"), 0, "same", restarting=True) == Placement(BatchId(2, 0))


@pytest.mark.failure("F81")
@pytest.mark.parametrize("number", [1, 3, 4])
def test_another_number_than_0_after_a_restart_is_a_finding(number: int) -> None:
    """Another client fetched the first batches after the restart."""
    placement = place_batch(LAST, number, "d3", restarting=True)
    assert (placement.batch, placement.missed) == (BatchId(3, number), ids(3, *range(number)))
    assert not placement.repeated
    assert f"batch {number}, not 0" in placement.finding


@pytest.mark.parametrize(("position", "expected"), [(Position(), (1, 0)), (LAST, (2, 4))])
def test_the_next_batch_follows_in_the_same_epoch(position: Position, expected: tuple[int, int]) -> None:
    """Epoch 1 is the first."""
    assert position.next == expected


def test_closed_and_missed_batches_determine_the_position() -> None:
    """A refused response is no batch: its number is expected again."""
    payloads: list[Payload] = [
        _closed(1, 0),
        _closed(1, 1),
        BatchMissed(dataset="d", epoch=1, number=2, reason="r"),
        BatchRefused(dataset="d", epoch=1, number=3, reason="r", status=500, body="b"),
    ]
    assert _after(payloads[:2]).position == Position(1, 1, "1x1")
    assert _after(payloads).position == Position(1, 2)
    assert _after([*payloads, _closed(2, 0)]).position == Position(2, 0, "2x0")
    assert _after([]).position == Position()


@pytest.mark.failure("F358")
def test_an_epoch_or_a_number_that_does_not_follow_changes_nothing() -> None:
    """Of whatever event. A topic begins with any epoch, and a later one is at most one more."""
    begun = [_closed(7, 3), _closed(8, 0)]
    forged = [
        _closed(10, 0),
        _closed(1_000_000, 0),
        BatchMissed(dataset="d", epoch=1_000_000, number=0, reason="r"),
        _closed(8, MAX_BATCH_NUMBER + 1),
    ]
    assert _after([*begun, *forged]) == _after(begun)
    assert _after([*begun, *forged, _closed(9, 0)]).position == Position(9, 0, "9x0")


def test_the_last_declaration_counts() -> None:
    """Their number makes the id of the next one."""
    first, second = (DatasetDeclared(dataset="d", digest=digest, toml="t") for digest in "ab")
    state = _after([first, _closed(1, 0), second])
    assert (state.declarations, state.declared) == (2, "b")


def _after(payloads: Iterable[Payload]) -> TopicState:
    return reduce(TopicState.after, payloads, TopicState())


@pytest.mark.failure("F04", "F78")
def test_the_later_position_counts() -> None:
    """Neither the loss of the inbox nor that of the topics moves the poller back."""
    assert latest(LAST, Position()) == latest(Position(), LAST) == LAST
    assert latest(Position(3, 0), LAST) == Position(3, 0)


def _closed(epoch: int, number: int) -> BatchClosed:
    fields = {"dataset": "d", "epoch": epoch, "number": number, "digest": f"{epoch}x{number}"}
    return BatchClosed.model_validate({**fields, "rows": 1, "chunks": 1, "dataset_digest": "x", "ranges": []})
