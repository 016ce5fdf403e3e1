"""The models of a version in a market: houses without the level, and the level of each period."""

import math
from datetime import date

import numpy as np
import pytest

from support.listings import api_rows
from support.markets import FIRST, MARKET, planted_rows
from support.trainer import DATASET
from veleta.dataset import parse_dataset
from veleta.market import Level, periods_of
from veleta.market_levels import LevelHistory, MarketLevels
from veleta.periods import period_of
from veleta_trainer.domain.clean_rows import CleanBatch, CleanRows
from veleta_trainer.domain.holdout import Holdout
from veleta_trainer.domain.labelled_rows import LabelledRows
from veleta_trainer.domain.market_model import fit_models, period_length
from veleta_trainer.domain.price_model import predict

PARAMS = {"loss_function": "RMSE", "iterations": 60, "depth": 5, "learning_rate": 0.1, "random_seed": 0}
PLANTED = [0.0, 0.03, 0.02, -0.08, -0.05, 0.0, 0.06, 0.08]
DATED = parse_dataset(MARKET)


def labelled(rows: list[dict[str, float | str]]) -> LabelledRows:
    return CleanRows(DATED, [CleanBatch.of_rows(DATED, [rows]).table]).labelled()


@pytest.fixture(scope="module")
def rows() -> LabelledRows:
    """300 rows of each planted month."""
    return labelled(planted_rows(PLANTED, 300))


@pytest.fixture(scope="module")
def market(rows: LabelledRows) -> MarketLevels:
    """What a training finds of it."""
    found = fit_models(DATED, rows, PARAMS, 2).market
    assert found is not None
    return found


def test_the_levels_are_the_planted_ones(market: MarketLevels) -> None:
    """Within three standard errors, relative to the first month."""
    assert [*market.levels] == [FIRST + month for month in range(len(PLANTED))]
    assert market.levels[FIRST].value == 0
    for planted, level in zip(PLANTED, market.levels.values(), strict=True):
        assert level.value == pytest.approx(planted, abs=0.02)
        assert 0 < level.error < 0.02
    assert market.now.value == pytest.approx(PLANTED[-1], abs=0.03)
    assert (market.first, market.last, market.since) == (date(2020, 1, 1), date(2020, 8, 28), "2020-01")


def test_the_model_of_prices_does_not_contain_them(rows: LabelledRows) -> None:
    """Its errors on other houses are the levels. A model without a market has learnt their mean."""
    models = fit_models(DATED, rows, PARAMS, 2)
    new = labelled(planted_rows([0.0] * len(PLANTED), 100, seed=5))
    house = np.log(new.prices) - predict(models.booster, DATED, new.frame)
    plain = fit_models(DATED.model_copy(update={"market": None}), rows, PARAMS, 2)
    assert plain.market is None
    assert house.mean() == pytest.approx(0, abs=0.02)
    mixed = np.log(new.prices) - predict(plain.booster, DATED, new.frame)
    assert mixed.mean() == pytest.approx(-np.mean(PLANTED), abs=0.02)


def test_it_knows_what_the_rows_were(rows: LabelledRows, market: MarketLevels) -> None:
    """By category, and by bands of the predicted price: so rows of one city only are less certain than all."""
    assert {"city", "state", "zip_code", "@prediction"} <= market.mixes.keys()
    assert sum(market.mixes["state"].shares.values()) == pytest.approx(1)
    signed = np.random.default_rng(0).normal(0.05, 0.1, 200)
    spread = market.mixes["city"].model_copy(update={"spread": 0.05})
    market = market.model_copy(update={"mixes": {"city": spread}})
    cities = rows.frame["city"].to_numpy()
    usual, one = (market.seen_of(signed, {"city": each}, signed) for each in (cities[:200], np.full(200, cities[0])))
    assert usual.mean == one.mean
    assert 0.03 < one.error < 0.05
    assert usual.error < 0.6 * one.error


def test_a_wrong_year_is_no_period() -> None:
    """One row of 2099 neither is the newest, nor moves the level of others."""
    rows = planted_rows([0.0, 0.05], 200)
    rows[0]["prev_sold_date"] = "2029-05-05"
    found = fit_models(DATED, labelled(rows), PARAMS, 2).market
    assert found is not None
    assert (len(found.levels), found.last) == (2, date(2020, 2, 28))
    assert found.of_period(period_of(date(2029, 5, 5), "month")) == found.now


def test_the_model_s_file_has_them(market: MarketLevels) -> None:
    """As they were found."""
    metadata: dict[str, str] = {}
    market.save(metadata)
    assert MarketLevels.of_model(metadata) == market
    assert MarketLevels.of_model({}) is None


def test_later_updates_are_levels_too(market: MarketLevels) -> None:
    """The last one is asked for; a period that is past has no expected change."""
    later = {date(2020, 9, 1): Level(0.09, 0.004), date(2020, 10, 1): Level(0.1, 0.004)}
    found = market.with_updates(LevelHistory(periods=later, now=Level(0.12, 0.004, 0.02)))
    assert found.of_period(period_of(date(2020, 9, 14), "month")).value == 0.09
    assert found.of_period(period_of(date(2020, 10, 14), "month")).value == 0.1
    assert found.now == found.of_period(period_of(date(2020, 11, 1), "month")) == Level(0.12, 0.004, 0.02)
    assert found.of_period(period_of(date(2020, 2, 1), "month")) == market.levels[FIRST + 1]
    assert market.with_updates(LevelHistory()) == market


@pytest.mark.parametrize(
    ("rows_per_day", "length"), [(100, "week"), (20, "month"), (7, "quarter"), (2, "year"), (0.1, "year")]
)
def test_a_period_is_as_long_as_the_rows_need(rows_per_day: float, length: str) -> None:
    """Some 500 rows make a level certain."""
    days = date(2020, 1, 1).toordinal() + np.arange(0, 730, 1 / rows_per_day).astype(int)
    assert period_length(days) == length


def test_a_holdout_is_adjusted_to_the_level_of_now(rows: LabelledRows, market: MarketLevels) -> None:
    """A model that knows house and level is right about each month. The latest one is a part of its own."""
    holdout = Holdout.of(rows, market)
    assert np.log(holdout.prices / rows.prices) == pytest.approx(market.now.value - holdout.levels)
    assert holdout.predicted(np.log(holdout.house.prices)).prices == pytest.approx(holdout.prices)
    ((name, latest),) = holdout.latest.items()
    assert name == "latest period (2020-08)"
    assert rows.days is not None
    assert latest.tolist() == (periods_of(rows.days, "month") == FIRST + 7).tolist()


def test_a_holdout_without_a_market_is_as_it_is() -> None:
    """All levels are 0."""
    rows = CleanRows(DATASET, [CleanBatch.of_rows(DATASET, [api_rows(0, 50, 1)]).table]).labelled()
    holdout = Holdout.of(rows, None)
    assert (holdout.prices == rows.prices).all()
    assert not holdout.levels.any()
    assert holdout.latest == {}
    assert holdout.predicted(np.zeros(3)).prices.tolist() == [1.0] * 3


def test_rows_without_days_have_the_level_of_now(rows: LabelledRows, market: MarketLevels) -> None:
    """The dataset file no longer declares a market, and the champion still has one."""
    undated = LabelledRows(rows.frame, rows.prices, rows.properties)
    assert undated.levels(market).tolist() == [market.now.value] * len(rows)
    assert math.isclose(undated.levels(None).sum(), 0)
