"""Which batches keep their rows."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from veleta_retention.domain.kept_rows import (
    BatchKey,
    ClosedBatch,
    Limits,
    describe_limits,
    first_offsets,
    needed_from,
    oldest_kept,
)

NOW = datetime(2026, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)
EVERYTHING = Limits(epochs=0, days=0)


def closed(*keys: BatchKey, ages: Mapping[BatchKey, float] | None = None) -> dict[BatchKey, ClosedBatch]:
    """Batches in the order of closing, ten records each; `ages` in days."""
    return {
        key: ClosedBatch(position, NOW - (ages or {}).get(key, 0) * DAY, {0: 10 * position})
        for position, key in enumerate(keys)
    }


FOUR_EPOCHS = closed((1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (5, 0))


@pytest.mark.parametrize(
    ("epochs", "oldest"),
    [(1, (5, 0)), (2, (3, 0)), (3, (2, 0)), (4, (1, 0)), (99, (1, 0)), (0, (1, 0))],
)
def test_the_newest_epochs_are_kept_as_a_whole(epochs: int, oldest: BatchKey) -> None:
    """Epochs without a closed batch, as epoch 4 here, do not count."""
    assert oldest_kept(FOUR_EPOCHS, 5, Limits(epochs, days=0), NOW) == oldest


@pytest.mark.failure("F358")
def test_an_epoch_that_the_loader_has_not_loaded_does_not_count() -> None:
    """A manifest may claim any epoch. Its rows are compared with it by the loader."""
    forged = {**FOUR_EPOCHS, **closed((6, 0), (1_000_000, 0))}
    assert oldest_kept(forged, 5, Limits(1, days=0), NOW) == (5, 0)
    assert oldest_kept(forged, 0, Limits(1, days=0), NOW) is None


def test_batches_of_earlier_epochs_are_deleted_by_age() -> None:
    """From the day that is the limit."""
    ages = {(1, 0): 9, (1, 1): 7, (2, 0): 6.9, (3, 0): 1}
    batches = closed((1, 0), (1, 1), (2, 0), (3, 0), ages=ages)
    assert oldest_kept(batches, 5, Limits(epochs=0, days=7), NOW) == (2, 0)
    assert oldest_kept(batches, 5, Limits(epochs=0, days=8), NOW) == (1, 1)
    assert oldest_kept(batches, 5, EVERYTHING, NOW) == (1, 0)


def test_both_limits_apply() -> None:
    """A batch is deleted if one of them says so."""
    ages = {(1, 0): 9, (2, 0): 1, (3, 0): 0}
    batches = closed((1, 0), (2, 0), (3, 0), ages=ages)
    assert oldest_kept(batches, 5, Limits(epochs=1, days=7), NOW) == (3, 0)
    assert oldest_kept(batches, 5, Limits(epochs=3, days=7), NOW) == (2, 0)


def test_the_newest_epoch_is_kept_however_old_it_is() -> None:
    """A training and the comparison of the next batch need its rows."""
    batches = closed((1, 0), (2, 0), (2, 1), ages={(1, 0): 90, (2, 0): 80, (2, 1): 70})
    assert oldest_kept(batches, 5, Limits(epochs=0, days=1), NOW) == (2, 0)
    ages = {(1, 0): 90, (2, 0): 80, (3, 0): 70}
    assert oldest_kept(closed(*ages, ages=ages), 5, Limits(epochs=0, days=1), NOW) == (3, 0)


def test_without_a_batch_nothing_is_deleted() -> None:
    """There is no first batch to keep."""
    assert oldest_kept({}, 5, Limits(1, 1), NOW) is None


def test_a_batch_that_was_not_processed_is_needed() -> None:
    """Its manifest is not below the next offset of the slowest service."""
    assert needed_from(FOUR_EPOCHS, processed=2, trainings=None) == (2, 0)
    assert needed_from(FOUR_EPOCHS, processed=6, trainings=None) is None
    assert needed_from(FOUR_EPOCHS, processed=0, trainings=(3, 0)) == (1, 0)


def test_a_batch_of_a_training_is_needed() -> None:
    """Also if every service has processed it."""
    assert needed_from(FOUR_EPOCHS, processed=6, trainings=(1, 1)) == (1, 1)
    assert needed_from(FOUR_EPOCHS, processed=3, trainings=(5, 0)) == (3, 0)


def test_records_are_deleted_up_to_the_first_of_a_kept_batch() -> None:
    """In each partition. A batch may have been published again, after a later one."""
    batches = {
        (1, 0): ClosedBatch(0, NOW, {0: 0, 1: 5}),
        (2, 0): ClosedBatch(1, NOW, {0: 90}),
        (2, 1): ClosedBatch(2, NOW, {0: 40, 1: 7}),
    }
    assert first_offsets(batches, (2, 0)) == {0: 40, 1: 7}
    assert first_offsets(batches, (1, 0)) == {0: 0, 1: 5}


@pytest.mark.parametrize(
    ("request_days", "epochs", "days", "versions", "text"),
    [
        (0, 0, 0, 0, "deletes purged requests"),
        (
            30,
            10,
            0,
            20,
            "deletes requests after 30 days; rows of all but 10 epochs; artifacts of all but 20 ",
        ),
        (0, 0, 7, 0, "deletes rows of earlier epochs after 7 days; purged requests"),
    ],
)
def test_the_activity_names_all_that_is_deleted(
    request_days: int, epochs: int, days: int, versions: int, text: str
) -> None:
    """Not only requests."""
    assert describe_limits(request_days, Limits(epochs, days), versions).startswith(text)
