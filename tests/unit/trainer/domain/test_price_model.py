"""The model of prices: what the dataset file declares about its training holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostRegressor

from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import Dataset, Values, load_dataset, parse_dataset
from veleta.features import Features
from veleta_trainer.domain.price_model import fit_price_model, predict_prices

PARAMS = {"loss_function": "RMSE", "iterations": 60, "depth": 6, "random_seed": 0, "max_ctr_complexity": 1}
ROWS: list[Values] = [DATASET.convert(row)[0] for row in api_rows(0, 400, 3)]
PRICES = np.array([row[DATASET.target] for row in ROWS], dtype=float)


def frame(rows: list[Values], dataset: Dataset = DATASET) -> pd.DataFrame:
    """The features of rows."""
    features = Features(dataset)
    return pd.DataFrame([features.of(row) for row in rows], columns=features.names)


def fit(dataset: Dataset = DATASET, prices: np.ndarray = PRICES) -> CatBoostRegressor:
    """A model of the rows."""
    return fit_price_model(dataset, frame(ROWS, dataset), prices, PARAMS, threads=1)


def without(declaration: str) -> Dataset:
    """The dataset file without a line."""
    assert DATASET.text.count(declaration) == 1
    return parse_dataset(DATASET.text.replace(declaration, ""))


def test_the_price_never_falls_with_an_increasing_number() -> None:
    """Whatever the other columns are, and also where the prices of the training rows fall."""
    sizes = np.linspace(300, 10_000, 60)
    falling = PRICES * np.exp(-np.array([row["house_size"] for row in ROWS], dtype=float) / 2_000)

    def falls(dataset: Dataset) -> int:
        model = fit(dataset, falling)
        houses = [frame([{**row, "house_size": size} for size in sizes], dataset) for row in ROWS[:20]]
        curves = [predict_prices(model, dataset, each) for each in houses]
        return sum(bool((np.diff(curve) < -1e-6).any()) for curve in curves)

    assert falls(DATASET) == 0
    assert falls(without('increasing = ["house_size"]\n')) == 20


def test_a_price_above_the_cap_counts_as_the_cap() -> None:
    """So the price of one house does not shape those of all others."""
    cap = DATASET.training.cap
    assert cap is not None
    high, capped = PRICES.copy(), PRICES.copy()
    high[::10], capped[::10] = 9_000_000, cap
    expected = predict_prices(fit(prices=capped), DATASET, frame(ROWS))
    assert predict_prices(fit(prices=high), DATASET, frame(ROWS)).tolist() == expected.tolist()
    uncapped = without("cap = 2_000_000\n")
    assert predict_prices(fit(uncapped, high), uncapped, frame(ROWS)).max() > expected.max()


def test_the_mean_of_the_target_is_part_of_the_model(tmp_path: Path) -> None:
    """The trees learn differences from it. Saved and loaded, the model predicts the same prices."""
    model = fit()
    prices = predict_prices(model, DATASET, frame(ROWS))
    assert np.log(prices).mean() == pytest.approx(np.log(PRICES).mean(), abs=0.01)
    model.save_model(str(tmp_path / "model.cbm"))
    loaded = CatBoostRegressor().load_model(str(tmp_path / "model.cbm"))
    assert predict_prices(loaded, DATASET, frame(ROWS)).tolist() == prices.tolist()


def test_rows_with_gaps_have_the_declared_weight() -> None:
    """The more they weigh, the nearer are the predictions to their prices."""
    listings = load_dataset("listings")
    rows = [{**row, "house_size": None} if n % 3 == 0 else row for n, row in enumerate(ROWS)]
    prices = np.where(np.arange(len(rows)) % 3 == 0, PRICES * 3, PRICES)

    def mean_of_gaps(weight: float) -> float:
        training = listings.training.model_copy(update={"incomplete_weight": weight, "increasing": []})
        dataset = listings.model_copy(update={"training": training})
        few = {**PARAMS, "iterations": 3}
        model = fit_price_model(dataset, frame(rows, dataset), prices, few, threads=1)
        return float(predict_prices(model, dataset, frame(rows, dataset)).mean())

    assert mean_of_gaps(0.1) < mean_of_gaps(0.5) < mean_of_gaps(1.0)
