"""SHAP values by CatBoost alone."""

import importlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostRegressor, Pool

from support.models import synthetic, train
from veleta.dataset import load_dataset
from veleta.features import Features
from veleta.shap_values import shap_values

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # shap uses deprecated functions of matplotlib
    shap = importlib.import_module("shap")
    explanation = importlib.import_module("veleta.explanation")

DATASET = load_dataset("real_estate")
FRAME = explanation.feature_frame(DATASET, synthetic(DATASET, 20))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CatBoostRegressor:
    """A small model."""
    path: Path = tmp_path_factory.mktemp("model") / "model.cbm"
    train(DATASET, path, rows=synthetic(DATASET, 200))
    return CatBoostRegressor().load_model(str(path))


def test_they_are_those_of_the_package_shap(model: CatBoostRegressor) -> None:
    """Values and base value."""
    pool = Pool(FRAME, cat_features=Features(DATASET).categorical)
    values, base = shap_values(model, pool)
    explainer = shap.TreeExplainer(model)
    assert np.array_equal(values, explainer.shap_values(pool))
    assert set(base) == {explainer.expected_value}


def test_base_and_values_add_up_to_the_prediction(model: CatBoostRegressor) -> None:
    """For each row, whatever the number of threads."""
    pool = Pool(FRAME, cat_features=Features(DATASET).categorical)
    values, base = shap_values(model, pool, threads=1)
    assert base + values.sum(axis=1) == pytest.approx(model.predict(pool))
