"""The measures of models on the holdout and on its slices."""

import numpy as np
import pandas as pd
import pytest

from veleta.dataset import EvaluationRule
from veleta.features import MISSING_COUNT
from veleta_trainer.domain.evaluation import (
    COMPLETE,
    INCOMPLETE,
    LARGEST,
    MAX_SLICES,
    SLICES_LEFT_OUT,
    WHOLE,
    Figure,
    Predicted,
    evaluate,
    largest_errors,
    largest_slices,
    measures,
    slices,
)

PRICES = np.array([100.0, 200.0, 400.0, 800.0])
FRAME = pd.DataFrame({"state": ["Ohio", "Utah", "Ohio", "Ohio"], "bed": [1.0, 2.0, 3.0, 4.0]}).astype(
    {"state": "category"}
)


def test_the_measures_of_assessors_are_those_of_the_standard() -> None:
    """Computed by hand: ratios 1.1, 1, 0.9 and 0.8 with the median 0.95."""
    found = measures(PRICES, Predicted(PRICES * np.array([1.1, 1.0, 0.9, 0.8])))
    assert found["cod"] == pytest.approx(100 * np.mean([0.15, 0.05, 0.05, 0.15]) / 0.95)
    assert found["prd"] == pytest.approx(0.95 / (1_310 / 1_500))
    assert found["prb"] < 0
    assert found["bias"] == pytest.approx(-np.mean(np.log([1.1, 1.0, 0.9, 0.8])))


def test_a_uniform_error_has_no_spread_and_no_trend() -> None:
    """All prices are a tenth too low: only the bias shows it."""
    found = measures(PRICES, Predicted(PRICES * 0.9))
    assert found["cod"] == pytest.approx(0)
    assert found["prd"] == pytest.approx(1)
    assert found["prb"] == pytest.approx(0)
    assert found["bias"] == pytest.approx(-np.log(0.9))


@pytest.mark.parametrize(("power", "sign"), [(0.9, -1), (1.1, 1)])
def test_the_trend_of_ratios_has_the_sign_of_the_standard(power: float, sign: int) -> None:
    """Below 0 if expensive houses are predicted too low."""
    prices = np.exp(np.random.default_rng(0).uniform(11, 14, 500))
    found = measures(prices, Predicted(prices**power))
    assert np.sign(found["prb"]) == sign
    assert np.sign(1 - found["prd"]) == sign


def test_the_slices_are_those_of_the_dataset_file() -> None:
    """Each value of a category, and each band of the price that has rows, with their numbers of rows."""
    rule = EvaluationRule(slices=["state"], bands=[50.0, 200.0, 500.0])
    found = {name: rows.tolist() for name, rows in slices(rule, FRAME, PRICES)}
    assert found == {
        WHOLE: [True] * 4,
        "state = Ohio": [True, False, True, True],
        "state = Utah": [False, True, False, False],
        "50 to 200": [True, True, False, False],
        "200 to 500": [False, False, True, False],
        "above 500": [False, False, False, True],
    }
    assert [name for name, _ in slices(EvaluationRule(), FRAME, PRICES)] == [WHOLE]


def test_rows_with_gaps_are_a_slice() -> None:
    """If columns are optional, and some rows are incomplete."""
    frame = FRAME.assign(**{MISSING_COUNT: [0.0, 2.0, 0.0, 1.0]})
    found = {name: rows.tolist() for name, rows in slices(EvaluationRule(), frame, PRICES)}
    assert found == {
        WHOLE: [True] * 4,
        COMPLETE: [True, False, True, False],
        INCOMPLETE: [False, True, False, True],
    }
    names = [name for name, _ in slices(EvaluationRule(), frame.assign(**{MISSING_COUNT: 0.0}), PRICES)]
    assert names == [WHOLE, COMPLETE]


def test_each_model_is_measured_on_each_slice() -> None:
    """On the same rows. Only a model with intervals has their measures."""
    models = {"new": Predicted(PRICES * 1.1, PRICES * 0.9, PRICES * 1.3), "old": Predicted(PRICES + 10)}
    figures = evaluate(EvaluationRule(slices=["state"]), FRAME, PRICES, models)
    found = {(each.model, each.slice, each.metric): each for each in figures}
    assert found["new", "state = Ohio", "mae"].value == pytest.approx(1_300 / 30)
    assert found["old", "state = Ohio", "mae"].value == 10
    assert found["new", "state = Ohio", "mae"].rows == found["old", "state = Ohio", "mae"].rows == 3
    assert found["new", WHOLE, "coverage"].value == 1
    assert ("old", WHOLE, "coverage") not in found
    assert ("new", "state = Utah", "mae") in found
    assert ("new", "state = Utah", "cod") not in found
    assert len(found) == len(figures)


def test_the_largest_errors_are_listed_with_their_features() -> None:
    """The largest first, at most LARGEST of them."""
    table = largest_errors(FRAME, PRICES, Predicted(PRICES + np.array([1.0, -30.0, 2.0, 20.0])), "price")
    assert table["price"].tolist() == [200.0, 800.0, 400.0, 100.0]
    assert table["prediction"].tolist() == [170.0, 820.0, 402.0, 101.0]
    assert table["bed"].tolist() == [2.0, 4.0, 3.0, 1.0]
    many = np.arange(1.0, 100.0)
    frame = pd.DataFrame({"bed": many})
    assert len(largest_errors(frame, many, Predicted(many * 2), "price")) == LARGEST


def test_an_event_has_the_largest_slices() -> None:
    """All rows count those beyond the limit."""
    sizes = {WHOLE: 1_000, **{f"city = {number:03}": number for number in range(MAX_SLICES + 7)}}
    figures = [Figure(model, name, "mae", 2.5, rows) for name, rows in sizes.items() for model in ("new", "old")]
    found = largest_slices(figures)
    whole, others = found[:2], found[2:]
    assert [(each.model, each.slice, each.rows) for each in whole] == [("new", WHOLE, 1_000), ("old", WHOLE, 1_000)]
    assert [each.metrics for each in whole] == [{"mae": 2.5, SLICES_LEFT_OUT: 7.0}] * 2
    assert sorted({each.rows for each in others}) == list(range(7, MAX_SLICES + 7))
    assert len(others) == 2 * MAX_SLICES
    assert {tuple(each.metrics) for each in others} == {("mae",)}


def test_a_measure_that_is_not_finite_is_left_out_of_the_event() -> None:
    """JSON and MySQL have no such number."""
    figures = [Figure("new", WHOLE, name, value, 3) for name, value in [("prd", np.inf), ("prb", np.nan), ("mae", 1.0)]]
    (whole,) = largest_slices(figures)
    assert whole.metrics == {"mae": 1.0, SLICES_LEFT_OUT: 0.0}


def test_a_run_without_measures_has_no_slices() -> None:
    """An earlier release made it."""
    assert largest_slices([]) == []
