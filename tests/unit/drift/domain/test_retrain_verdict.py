"""Whether a training helped."""

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


def pair(*batches: tuple[Predictions, Predictions], numbered: bool = False) -> PairErrors:
    """What is known after these batches, with the numbers 0, 1, ..."""
    known = PairErrors(version=2, previous=1)
    for number, (champion, previous) in enumerate(batches):
        known = added(known, number, champion, previous, numbered=numbered)
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


@pytest.mark.parametrize("cuts", [[], [1], [30, 31, 200], [0, 399]])
def test_the_test_is_the_paired_one_of_scipy(cuts: list[int]) -> None:
    """In whatever batches the rows come, empty ones included."""
    champion, previous = noisy(2, 0.2), noisy(1, 0.21)
    parts = [slice(first, last) for first, last in zip([0, *cuts], [*cuts, len(TRUTH)], strict=True)]
    known = pair(*((part(champion, rows), part(previous, rows)) for rows in parts))
    found = compared(known)
    assert found
    expected = stats.ttest_rel(np.abs(champion.signed), np.abs(previous.signed)).pvalue
    assert 0.001 < expected < 0.9
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert found.change == pytest.approx(champion.mae / previous.mae - 1)
    assert (known.rows, known.batches, known.numbers) == (len(TRUTH), len(parts), [])


def test_few_rows_have_no_verdict() -> None:
    """It is left to a later batch, which adds its rows."""
    first, rest = slice(MIN_ROWS - 1), slice(MIN_ROWS - 1, MIN_ROWS)
    champion, previous = noisy(2, 0.05), noisy(1, 0.5)
    assert compared(pair((part(champion, first), part(previous, first)))) is None
    both = [(part(champion, rows), part(previous, rows)) for rows in (first, rest)]
    found = compared(pair(*both))
    assert found
    assert found.verdict == "helped"


@pytest.mark.failure("F466")
def test_batches_that_are_chosen_by_the_target_are_compared_together() -> None:
    """On cheap houses alone, a model that predicts less is right. A batch of each number shows which one is better."""
    cheap, expensive = TRUTH[TRUTH < 150_000], TRUTH[TRUTH >= 150_000]
    worse = Predictions(2, cheap * 1.3, cheap), Predictions(1, cheap * 1.02, cheap)
    better = Predictions(2, expensive, expensive), Predictions(1, expensive * 0.5, expensive)
    needed = {0, 1}
    assert compared(pair(worse, numbered=True), needed) is None
    assert compared(pair(worse, worse, numbered=True), {0, 2}) is None
    found = compared(pair(worse, better, numbered=True), needed)
    assert found
    assert found.verdict == "helped"
    alone = compared(pair(worse))
    assert alone
    assert alone.verdict == "harmed"
