"""Whether a training helped."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from veleta.events.catalogue import PairErrors
from veleta_drift.domain.retrain_verdict import MIN_ROWS, Predictions, added, compared

TRUTH = np.random.default_rng(1).lognormal(12, 0.5, 400)


def predictions(version: int, factor: float, of_the_highest: float | None = None) -> Predictions:
    """Predictions that are wrong by a factor, and by another one for the twenty highest prices."""
    values = TRUTH * factor
    if of_the_highest is not None:
        highest = np.argsort(TRUTH)[-20:]
        values[highest] = TRUTH[highest] * of_the_highest
    return Predictions(version, values, TRUTH)


def pair(*batches: tuple[Predictions, Predictions], numbers: Sequence[int] = (), round_of: int = 0) -> PairErrors:
    """The errors of both versions on these batches, which count by their rows. Their numbers are 0, 1, ... or these."""
    known = PairErrors(version=2, previous=1)
    for number, (champion, previous) in zip(numbers or range(len(batches)), batches, strict=True):
        known = added(known, number, len(champion.truth), champion, previous, round_of)
    return known


def part(of: Predictions, rows: slice) -> Predictions:
    return Predictions(of.version, of.values[rows], of.truth[rows])


@pytest.mark.parametrize(
    ("factor", "of_the_highest", "verdict"),
    [(1.05, None, "helped"), (1.2, None, "harmed"), (1.1, None, "no difference"), (1.11, 1.0, "no difference")],
    ids=["better", "worse", "equal", "worse for most rows, but a lower MAE"],
)
def test_both_errors_must_change_in_one_direction(factor: float, of_the_highest: float | None, verdict: str) -> None:
    """So no rollback is proposed to a version with a higher mean absolute error."""
    found = compared(pair((predictions(2, factor, of_the_highest), predictions(1, 1.1))))
    assert found
    assert found.verdict == verdict
    if of_the_highest is not None:
        assert found.change < 0
        assert found.p_value < 0.05


def noisy(version: int, spread: float) -> Predictions:
    """Predictions with random errors."""
    return Predictions(version, TRUTH * np.exp(np.random.default_rng(version).normal(0, spread, len(TRUTH))), TRUTH)


def test_the_test_is_the_paired_one_of_scipy() -> None:
    """On one batch. Its change is that of the mean absolute error."""
    champion, previous = noisy(2, 0.2), noisy(1, 0.21)
    found = compared(pair((champion, previous)))
    assert found
    expected = stats.ttest_rel(np.abs(champion.signed), np.abs(previous.signed)).pvalue
    assert 0.001 < expected < 0.9
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert found.change == pytest.approx(champion.mae / previous.mae - 1)


def test_batches_count_by_their_rows() -> None:
    """A sample of a large batch stands for all of its rows."""
    champion, previous = predictions(2, 1.2), predictions(1, 1.1)
    large, small = (part(champion, slice(50)), part(previous, slice(50))), (previous, champion)
    known = added(PairErrors(version=2, previous=1), 0, 10_000, *large, 2)
    known = added(known, 1, 400, *small, 2)
    found = compared(known)
    assert found
    assert found.verdict == "harmed"
    assert (known.rows, known.weight, known.batches) == (450, 10_400, 2)


def test_few_rows_have_no_verdict() -> None:
    """It is left to a later batch, which adds its rows."""
    first, rest = slice(MIN_ROWS - 2), slice(MIN_ROWS - 2, MIN_ROWS)
    champion, previous = noisy(2, 0.05), noisy(1, 0.5)
    both = [(part(champion, rows), part(previous, rows)) for rows in (first, rest)]
    assert compared(pair(both[0])) is None
    found = compared(pair(*both))
    assert found
    assert found.verdict == "helped"


def test_rows_that_decided_stay_as_they_are() -> None:
    """A later batch changes no verdict. Batches without rows are not counted."""
    empty = part(noisy(2, 0.05), slice(0))
    one = pair((empty, empty), (noisy(2, 0.05), noisy(1, 0.5)))
    assert (one.batches, one.rows, one.complete) == (1, len(TRUTH), True)
    assert added(one, 7, 400, noisy(2, 0.9), noisy(1, 0.1), 0) == one


CHEAP, EXPENSIVE = TRUTH[TRUTH < 150_000], TRUTH[TRUTH >= 150_000]
WORSE = Predictions(2, CHEAP * 1.3, CHEAP), Predictions(1, CHEAP * 1.02, CHEAP)
BETTER = Predictions(2, EXPENSIVE, EXPENSIVE), Predictions(1, EXPENSIVE * 0.5, EXPENSIVE)


@pytest.mark.failure("F466")
@pytest.mark.parametrize(
    ("numbers", "verdict", "batches"),
    [([0], None, 1), ([0, 1], None, 2), ([0, 1, 2], "helped", 3), ([4, 5, 4], "helped", 2), ([7, 8, 9], "helped", 3)],
    ids=["one", "two of three", "each number", "a number that comes again", "other numbers"],
)
def test_batches_that_are_chosen_by_the_target_are_compared_together(
    numbers: list[int], verdict: str | None, batches: int
) -> None:
    """On cheap houses alone, a model that predicts less is right. A round of three batches shows which one is better.

    A number that comes again ends the round too: a batch may have no rows. It is not counted twice.
    """
    known = pair(*[WORSE, BETTER, BETTER][: len(numbers)], numbers=numbers, round_of=3)
    found = compared(known)
    assert (found.verdict if found else None, known.batches) == (verdict, batches)
    alone = compared(pair(WORSE))
    assert alone
    assert alone.verdict == "harmed"
