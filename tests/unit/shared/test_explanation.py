"""Explanations in the target's unit, and their pictures."""

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostRegressor, Pool
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from support.market_levels import LEARNT
from support.models import synthetic, train
from veleta.contributions import price_contributions
from veleta.dataset import load_dataset
from veleta.features import Features
from veleta.predictor import Predictor
from veleta.shap_values import shap_values

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # shap uses deprecated functions of matplotlib
    explanation = importlib.import_module("veleta.explanation")
    pictures = importlib.import_module("veleta.explanation_pictures")

DATASET = load_dataset("real_estate")
ROWS = synthetic(DATASET, 20)
FRAME = explanation.feature_frame(DATASET, ROWS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CatBoostRegressor:
    """A small model."""
    path: Path = tmp_path_factory.mktemp("model") / "model.cbm"
    train(DATASET, path, rows=synthetic(DATASET, 200))
    return CatBoostRegressor().load_model(str(path))


def test_effects_are_money_and_add_up_to_the_price(model: CatBoostRegressor) -> None:
    """All rows start at one base price. The effects are those of POST /explain."""
    whole = explanation.explanation(model, DATASET, FRAME)
    prices = Predictor(DATASET, model).prices(ROWS)
    assert whole.base_values + whole.values.sum(axis=1) == pytest.approx(prices)
    assert np.ptp(whole.base_values) == pytest.approx(0, abs=1e-6)
    logarithms, _ = shap_values(model, Pool(FRAME, cat_features=Features(DATASET).categorical))
    base, contributions = price_contributions(prices[0], logarithms[0])
    assert whole.base_values[0] == pytest.approx(base)
    assert list(whole.values[0]) == pytest.approx(contributions)


def test_the_influence_of_a_feature_is_its_mean_effect(model: CatBoostRegressor) -> None:
    """Up or down, in the target's unit; the strongest feature is the first."""
    whole = explanation.explanation(model, DATASET, FRAME)
    table = explanation.influence(whole, list(FRAME.columns)).set_index("feature")
    assert table["mean_effect"].to_dict() == pytest.approx(
        dict(zip(FRAME.columns, np.abs(whole.values).mean(axis=0), strict=True))
    )
    assert table["mean_effect"].is_monotonic_decreasing


def test_the_level_of_a_market_is_a_contribution_of_its_own(model: CatBoostRegressor, tmp_path: Path) -> None:
    """The base is that without it. It is in the tables and pictures like a feature."""
    path = tmp_path / "model.cbm"
    model.save_model(str(path))
    with_market = CatBoostRegressor().load_model(str(path))
    LEARNT.save(with_market.get_metadata())
    whole, before = (explanation.explanation(each, DATASET, FRAME) for each in (with_market, model))
    assert whole.base_values + whole.values.sum(axis=1) == pytest.approx(Predictor(DATASET, with_market).prices(ROWS))
    assert list(whole.base_values) == pytest.approx(list(before.base_values))
    assert whole.feature_names == [*before.feature_names, "market since 2014-05"]
    assert {*whole.data[:, -1]} == {1.025}
    table = explanation.influence(whole, list(FRAME.columns)).set_index("feature")
    assert table["mean_effect"]["market since 2014-05"] == pytest.approx(np.abs(whole.values[:, -1]).mean())
    single = explanation.explanation(with_market, DATASET, FRAME[:1])
    assert list(single.values[0]) == pytest.approx(list(whole.values[0]))
    for draw in (pictures.draw_summary, pictures.draw_bars):
        draw(whole, DATASET)
        plt.close("all")
    pictures.draw_waterfall(single[0], DATASET)
    plt.close("all")


@pytest.fixture
def axes() -> Iterator[Axes]:
    """Those that a picture is drawn into."""
    yield plt.figure().gca()
    plt.close("all")


def test_the_summary_names_the_unit(model: CatBoostRegressor, axes: Axes) -> None:
    """Each point is an amount."""
    pictures.draw_summary(explanation.explanation(model, DATASET, FRAME), DATASET)
    assert axes.get_xlabel() == "Price: effect (USD)"


def test_bars_are_whole_amounts(model: CatBoostRegressor, axes: Axes) -> None:
    """`+12,346` instead of `+12345.68`."""
    whole = explanation.explanation(model, DATASET, FRAME)
    pictures.draw_bars(whole, DATASET)
    assert axes.get_xlabel() == "Price: mean effect, up or down (USD)"
    assert f"{np.abs(whole.values).mean(axis=0).max():+,.0f}" in {text.get_text() for text in axes.texts}


def test_the_waterfall_leads_from_the_base_price_to_the_predicted_one(model: CatBoostRegressor, axes: Axes) -> None:
    """In whole amounts too."""
    whole = explanation.explanation(model, DATASET, FRAME)
    pictures.draw_waterfall(whole[0], DATASET)
    [price] = Predictor(DATASET, model).prices(ROWS[:1])
    assert axes.get_title() == f"from the base {whole.base_values[0]:,.0f} to the prediction {price:,.0f}"
    assert axes.get_xlabel() == "Price: step by step (USD)"
    assert f"{max(whole.values[0], key=abs):+,.0f}" in {text.get_text() for text in axes.texts}


def test_a_missing_value_is_shown_as_not_given(model: CatBoostRegressor) -> None:
    """A number and a category of the single row."""
    gaps = FRAME[:1].assign(house_size=np.nan, city="")
    shown = explanation.explanation(model, DATASET, gaps).data[0]
    assert [shown[list(FRAME.columns).index(name)] for name in ("house_size", "city")] == ["not given", "not given"]
