"""The dates of generated sales, and how their prices change by date."""

import math
from datetime import date

import pytest

from veleta.dataset import load_dataset
from veleta.planted_market import Jump, PlantedMarket

START = date(2024, 1, 1)


def test_a_shipped_dataset_declares_it() -> None:
    """One without the section has none, and so has one whose section has a fault."""
    sales = load_dataset("sales")
    planted = PlantedMarket.of_dataset(sales)
    assert planted
    assert planted.monthly > 0
    assert PlantedMarket.of_dataset(load_dataset("real_estate")) is None
    broken = {**sales.generator, "time": {"start": "now"}}
    assert PlantedMarket.of_dataset(sales.model_copy(update={"generator": broken})) is None


def test_each_batch_is_the_month_after_the_one_before() -> None:
    """Also in the next epoch."""
    planted = PlantedMarket(start=date(2024, 11, 20), rows=1, months=2)
    months = [planted.month(epoch, number) for epoch in (1, 2) for number in (0, 1)]
    assert [first for first, _ in months] == [
        date(2024, 11, 1), date(2024, 12, 1), date(2025, 1, 1), date(2025, 2, 1)
    ]  # fmt: skip
    assert [after for _, after in months[:3]] == [first for first, _ in months[1:]]
    with pytest.raises(OverflowError):
        planted.month(99_999, 0)


def test_growth_adds_up_to_a_limit() -> None:
    """So that a run of years does not leave the bounds of prices."""
    planted = PlantedMarket(start=START, rows=1, monthly=0.01)
    assert planted.level(START) == 0
    assert planted.level(date(2025, 1, 1)) == pytest.approx(0.12, abs=1e-3)
    assert planted.level(date(2200, 1, 1)) == 1
    assert PlantedMarket(start=START, rows=1, monthly=-0.01).level(date(2200, 1, 1)) == -1


def test_a_season_returns_and_a_jump_stays() -> None:
    """The prices of June are the highest ones of a season."""
    season = PlantedMarket(start=START, rows=1, season=0.05)
    year = {month: season.period_level(date(2024, month, 9), "month") for month in range(1, 13)}
    assert (max(year, key=year.__getitem__), min(year, key=year.__getitem__)) == (6, 12)
    assert season.period_level(START, "year") == pytest.approx(0, abs=1e-3)
    assert season.level(date(2026, 6, 21)) == pytest.approx(0.05, abs=1e-3)
    fallen = PlantedMarket(start=START, rows=1, jumps=[Jump(on=date(2024, 5, 16), level=math.log(0.85))])
    assert fallen.level(date(2024, 5, 15)) == 0
    assert math.exp(fallen.level(date(2024, 5, 16))) == pytest.approx(0.85)
    assert fallen.period_level(date(2024, 5, 2), "month") == pytest.approx(math.log(0.85) * 16 / 31)


def test_the_summary_has_what_is_declared() -> None:
    """In the order of the section."""
    months = "each batch has the sales of a month, from 2024-01"
    assert PlantedMarket(start=START, rows=1).summary() == f"{months}; prices do not change"
    jump = Jump(on=date(2024, 5, 16), level=-0.15)
    planted = PlantedMarket(start=START, rows=1, monthly=0.01, season=0.03, jumps=[jump])
    path = "+1.0% a month, 3.0% higher in June than in the year, -15.0% on 2024-05-16"
    assert planted.summary() == f"{months}; prices change by {path}"
