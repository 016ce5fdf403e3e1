"""The model of the sizes of errors, and the intervals of the holdout."""

import numpy as np
import pandas as pd
import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import Values
from veleta.features import Features, property_hash
from veleta.holdout_errors import MIN_ROWS
from veleta.intervals import MIN_SIZE
from veleta_trainer.domain import interval_model
from veleta_trainer.domain.interval_model import HoldoutPredictions, fit_error_model
from veleta_trainer.domain.price_model import fit_price_model, predict

PARAMS = {"loss_function": "RMSE", "iterations": 40, "depth": 4, "random_seed": 0, "max_ctr_complexity": 1}
ROWS: list[Values] = [DATASET.convert(row)[0] for row in api_rows(0, 1_500, 3)]
PROPERTIES = np.array([property_hash(DATASET, row) for row in ROWS], dtype=np.uint64)
FEATURES = Features(DATASET)
FRAME = pd.DataFrame([FEATURES.of(row) for row in ROWS], columns=FEATURES.names)


def noisy_prices() -> np.ndarray:
    """Prices that only depend on the size of a house. Those of large houses vary much more."""
    size = FRAME["house_size"].to_numpy()
    spread = np.where(size > np.median(size), 0.8, 0.05)
    return np.asarray(100 * size * np.exp(spread * np.random.default_rng(0).standard_normal(len(size))))


def test_the_size_of_an_error_is_learnt() -> None:
    """From rows that the predicting model was not fitted on: a model that saw them would hardly be wrong there."""
    model = fit_error_model(DATASET, FRAME, noisy_prices(), PROPERTIES, PARAMS, threads=2)
    sizes, large = np.exp(predict(model, DATASET, FRAME)), FRAME["house_size"] > FRAME["house_size"].median()
    assert np.median(sizes[large]) > 3 * np.median(sizes[~large])


def test_the_model_of_errors_uses_no_categories() -> None:
    """It predicts from the same features as the model of prices, and stays small."""
    model = fit_error_model(DATASET, FRAME, noisy_prices(), PROPERTIES, PARAMS, threads=2)
    assert list(model.feature_names_) == FEATURES.names
    importance = dict(zip(model.feature_names_, model.feature_importances_, strict=True))
    assert {importance[FEATURES.names[i]] for i in FEATURES.categorical} == {0.0}
    assert max(importance.values()) > 0


def test_errors_are_learnt_from_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole properties, always the same ones."""
    monkeypatch.setattr(interval_model, "MAX_ROWS", 500)
    fitted: list[int] = []

    def fit(dataset: object, frame: pd.DataFrame, *arguments: object, **options: object) -> object:
        fitted.append(len(frame))
        return fit_price_model(dataset, frame, *arguments, **options)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(interval_model, "fit_price_model", fit)
    fit_error_model(DATASET, FRAME, noisy_prices(), PROPERTIES, PARAMS, threads=2)
    assert len(fitted) == interval_model.FOLDS
    assert sum(fitted) / (interval_model.FOLDS - 1) == pytest.approx(500, rel=0.2)


def test_the_expected_errors_of_the_holdout_are_right_on_average() -> None:
    """The model of errors learns the mean of logarithms, which is less than the logarithm of the mean."""
    random, number = np.random.default_rng(0), 4_000
    spread = random.uniform(0.05, 0.5, number)
    logarithms, errors = random.uniform(11, 13, number), spread * random.standard_normal(number)
    drawn = np.abs(spread * random.standard_normal((2_000, number)))
    mean_logarithm = np.log(drawn + MIN_SIZE).mean(axis=0)
    properties = np.arange(number, dtype=np.uint64)
    predictions = HoldoutPredictions(logarithms, np.exp(mean_logarithm), np.exp(logarithms + errors), properties)
    found = predictions.holdout_errors(np.arange(number) < 100)
    assert found is not None
    assert found.outside == 0.025
    assert 1.2 < found.ratio < 1.6
    expected = np.array([found.expected(size) for size in predictions.sizes])
    assert expected.mean() == pytest.approx(np.abs(errors).mean())
    large = spread > 0.3
    assert expected[large].mean() == pytest.approx(np.abs(errors[large]).mean(), rel=0.1)


@pytest.mark.parametrize(("rows", "size"), [(MIN_ROWS - 1, 0.5), (MIN_ROWS, MIN_SIZE)])
def test_without_enough_errors_nothing_is_measured(rows: int, size: float) -> None:
    """The ratio of few rows is mostly chance, and there is none if the model expects to be right everywhere."""
    ones, properties = np.ones(rows), np.arange(rows, dtype=np.uint64)
    predictions = HoldoutPredictions(ones, np.full(rows, size), np.exp(ones), properties)
    assert predictions.holdout_errors(ones > 1) is None


def test_coverage_is_measured_on_rows_that_did_not_calibrate() -> None:
    """Each half of the properties by the other half. The calibration of all rows would always fit them."""
    random = np.random.default_rng(0)
    number = 4_000
    logarithms, errors = random.uniform(11, 13, number), random.standard_normal(number)
    properties = np.arange(number, dtype=np.uint64) * np.uint64(100)
    predictions = HoldoutPredictions(logarithms, np.full(number, 0.5), np.exp(logarithms + errors), properties)
    low, high = predictions.other_half_intervals()
    assert np.mean((low <= predictions.prices) & (predictions.prices <= high)) == pytest.approx(0.8, abs=0.02)
    assert np.all(low < np.exp(logarithms))
    assert np.all(high > np.exp(logarithms))
    few = HoldoutPredictions(logarithms[:4], np.ones(4), np.exp(logarithms[:4]), properties[:4])
    assert np.isnan(few.other_half_intervals()[0]).all()
