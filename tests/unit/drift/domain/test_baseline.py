"""What a batch is compared with."""

import math

import pytest

from veleta.dataset import load_dataset
from veleta.events.catalogue import Baseline
from veleta_drift.domain.baseline import MAX_LOOKBACK, is_complete, kept_baseline, next_baseline
from veleta_drift.domain.statistics import BatchSummary

DATASET = load_dataset("real_estate")


def summary(price: float, bed: float, rows: int = 10) -> BatchSummary:
    """A batch with two statistics."""
    return BatchSummary(rows, {"price": rows, "bed": rows}, {("price", "mean"): price, ("bed", "mean"): bed})


def references(baseline: Baseline | None) -> dict[str, tuple[float, int]]:
    """By column: the value of its statistic, and the batch that has it."""
    assert baseline is not None
    return {each.column: (each.value, each.number) for each in baseline.statistics}


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_a_statistic_is_that_of_the_last_batch_that_has_it(missing: float) -> None:
    """One that is no finite number is not there. Rows and counts of values are those of the last batch."""
    first = next_baseline(DATASET, None, 0, summary(1.0, 3.0))
    second = next_baseline(DATASET, first, 1, summary(missing, 4.0, rows=20))
    assert references(second) == {"price": (1.0, 0), "bed": (4.0, 1)}
    assert (second.number, second.rows, second.values) == (1, 20, {"price": 20, "bed": 20})
    assert second.dataset_digest == DATASET.digest


def test_a_statistic_is_forgotten_after_twenty_batches() -> None:
    """The batch with the number that is 20 higher is still compared with it, the one after that no longer."""
    baseline = next_baseline(DATASET, None, 7, summary(1.0, 3.0))
    for number in range(8, 27):
        baseline = next_baseline(DATASET, baseline, number, summary(math.nan, 3.0))
        assert "price" in references(baseline), f"batch {number + 1} is compared with batch 7"
    assert number + 1 - 7 == MAX_LOOKBACK == 20
    assert "price" not in references(next_baseline(DATASET, baseline, 27, summary(math.nan, 3.0)))


def test_a_batch_that_cannot_be_read_changes_nothing() -> None:
    """But what is more than 20 batches old is forgotten."""
    baseline = next_baseline(DATASET, None, 7, summary(1.0, 3.0))
    assert kept_baseline(baseline, 26) == baseline
    assert kept_baseline(baseline, 27) is None
    assert kept_baseline(None, 1) is None


def test_batches_are_complete_if_each_statistic_is_in_one_of_them() -> None:
    """No batch is not complete."""
    assert not is_complete([])
    assert is_complete([summary(1.0, 3.0)])
    assert not is_complete([summary(1.0, math.nan)])
    assert is_complete([summary(1.0, math.nan), summary(math.inf, 2.0)])
