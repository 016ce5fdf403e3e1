"""Whether a training helped."""

import numpy as np
import pytest

from veleta_drift.domain.retrain_verdict import MIN_ROWS, Predictions, compared

TRUTH = np.random.default_rng(1).lognormal(12, 0.5, 400)


def predictions(version: int, factor: float, of_the_highest: float | None = None) -> Predictions:
    """Predictions that are wrong by a factor, and by another one for the twenty highest prices."""
    values = TRUTH * factor
    if of_the_highest is not None:
        highest = np.argsort(TRUTH)[-20:]
        values[highest] = TRUTH[highest] * of_the_highest
    return Predictions(version, values, TRUTH)


@pytest.mark.parametrize(
    ("factor", "of_the_highest", "verdict"),
    [(1.05, None, "helped"), (1.2, None, "harmed"), (1.1, None, "no difference"), (1.11, 1.0, "no difference")],
    ids=["better", "worse", "equal", "worse for most rows, but a lower MAE"],
)
def test_both_errors_must_change_in_one_direction(factor: float, of_the_highest: float | None, verdict: str) -> None:
    """So no rollback is proposed to a version with a higher mean absolute error."""
    found = compared(predictions(2, factor, of_the_highest), predictions(1, 1.1))
    assert found
    assert found.verdict == verdict
    if of_the_highest is not None:
        assert found.change < 0
        assert found.p_value < 0.05


def test_few_rows_have_no_verdict() -> None:
    """It is left to a later batch."""
    few = Predictions(1, TRUTH[: MIN_ROWS - 1], TRUTH[: MIN_ROWS - 1])
    assert compared(few, few) is None
