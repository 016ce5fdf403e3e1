"""`make backtest ORDER=time`: policies in order of time, with planted markets."""

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from support.listings import api_rows
from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.errors import Stop
from veleta.intervals import Calibration
from veleta.market import Level
from veleta.market_levels import MarketLevels
from veleta.origins import COLUMNS, OriginModel, Origins, Predictions
from veleta.periods import first_day, period_of
from veleta_drift.backtest_in_time import main, table, time_plot
from veleta_drift.domain.time_order import POLICIES, History, run
from veleta_trainer import evaluate_in_time

PERIODS, ROWS, SPREAD, SIZE = 8, 200, 0.2, 0.2


def in_months(text: str) -> str:
    """A dataset file without rules, whose rows are divided by the date that each has."""
    return f'{text.partition("# How the course")[0]}\n[batches]\nby = "prev_sold_date"\nevery = "month"\n'


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """By months."""
    return parse_dataset(in_months(load_dataset("real_estate").text))


FIRST = period_of(date(2020, 1, 1), "month")


def planted(level: list[float]) -> MarketLevels:
    """The levels of a training that knows the truth about these months."""
    levels = {FIRST + month: Level(value, 0.005) for month, value in enumerate(level)}
    last = first_day(max(levels), "month")
    return MarketLevels(
        time="prev_sold_date", every="month", method="trend", step=0.01, levels=levels, now=levels[max(levels)],
        first=date(2020, 1, 1), last=last,
    )  # fmt: skip


def history(dataset: Dataset, level: list[float], rows: int = ROWS) -> History:
    """Rows of months with this level of prices, and models that know all but it, after each month from the second."""
    chance = np.random.default_rng(7)
    values = [dataset.convert(row)[0] for row in api_rows(0, PERIODS * rows, 3)]
    periods = np.repeat(np.arange(PERIODS), rows)
    signed = chance.normal(0, SPREAD, len(values)) + np.array(level)[periods]
    worth = np.log(np.array([row["price"] for row in values], float))
    for row, price, period in zip(values, np.exp(worth + signed), periods.tolist(), strict=True):
        row["price"], row["prev_sold_date"] = float(price), first_day(FIRST + period, "month")
    models, tables = list[OriginModel](), list[pa.Table]()
    calibration = Calibration(edges=[], quantiles=[[1.2816 * SPREAD / SIZE] * 50], rows=500)
    for origin in range(1, PERIODS - 1):
        positions = np.flatnonzero((periods > origin) | (np.arange(len(values)) % 5 == 0))
        learnt, count = int((periods <= origin).sum()), len(positions)
        for house in (False, True):
            logarithms = worth[positions] + (0.0 if house else np.mean(level[: origin + 1]))
            columns = np.full(count, origin), np.full(count, house), positions, logarithms, np.full(count, SIZE)
            tables.append(pa.table({name: pa.array(each) for name, each in zip(COLUMNS, columns, strict=True)}))
            market = planted(level[: origin + 1]) if house else None
            known = {"calibration": calibration, "market": market, "seconds": 1.0}
            models.append(OriginModel(origin=origin, house=house, rows=learnt, **known))
    predictions = Predictions(Origins(periods=(FIRST + periods).tolist(), models=models), pa.concat_tables(tables))
    return History(dataset, values, predictions)


def runs(found: History) -> dict[str, list[dict[str, Any]]]:
    """The measures of each policy by period."""
    return {name: run(found, policy) for name, policy in POLICIES.items()}


def test_a_level_that_is_followed_needs_no_training(dataset: Dataset) -> None:
    """Prices rise by 2 % a month. All history teaches the past, and the level the last month."""
    found = runs(history(dataset, [0.02 * month for month in range(PERIODS)]))
    bias = {name: periods[-1]["bias"] for name, periods in found.items()}
    assert bias["never"] == pytest.approx(0.13, abs=0.03)
    assert 0.04 < bias["always"] < bias["never"]
    assert abs(bias["level_only"]) < bias["never"] / 2
    assert not any(each["trained"] for each in found["level_only"])
    assert found["level_only"][-1]["level"] == pytest.approx(0.14, abs=0.02)
    assert sum(each["trained"] for each in found["level"]) < sum(each["trained"] for each in found["always"])


def test_nothing_is_trained_in_a_stable_market_but_for_more_rows(dataset: Dataset) -> None:
    """Half as many again are worth a training. The level stays near its start."""
    found = runs(history(dataset, [0.0] * PERIODS, rows=500))
    assert [each["trained"] for each in found["level"]] == [True, False, True, False, False, False]
    assert all(abs(each["level"]) < 0.03 for each in found["level_only"])
    assert [each["trained"] for each in found["always"]] == [True] * 5 + [False]
    assert not any(each["trained"] for each in found["never"])
    assert np.mean([each["coverage"] for each in found["level_only"]]) == pytest.approx(0.8, abs=0.05)


def test_a_period_that_shows_too_much_moves_no_level(dataset: Dataset) -> None:
    """A batch of prices times 1,000 is no market."""
    jump = [0.0, 0.0, 0.0, math.log(1_000), 0.0, 0.0, 0.0, 0.0]
    levels = [each["level"] for each in runs(history(dataset, jump))["level_only"]]
    assert levels[1] == levels[0]
    assert all(abs(each) < 0.03 for each in levels)


def test_the_measures_are_a_table_and_a_plot(dataset: Dataset) -> None:
    """For each policy a line."""
    found = runs(history(dataset, [0.01 * month for month in range(PERIODS)], rows=120))
    assert [line.split()[0] for line in table(found)[1:]] == list(POLICIES)
    assert time_plot(found).count("<polyline ") == 2 * len(POLICIES)
    assert set(found["level"][0]) == {"period", "rows", "mae", "bias", "coverage", "trained", "level", "seconds"}


def test_another_file_than_that_of_the_models_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    path = tmp_path / "origins.parquet"
    path.write_text("no table")
    monkeypatch.setenv("CSV", str(tmp_path / "gone.csv"))
    monkeypatch.setenv("ORIGINS", str(path))
    with pytest.raises(Stop, match=r"ORIGINS=.*origins.parquet: cannot be read"):
        main()


def test_the_two_steps_of_a_backtest_in_order_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer's models of each period, and the policies of drift. The same file gives the same figures."""
    rows = api_rows(0, 500, 3)
    for number, row in enumerate(rows):
        row["prev_sold_date"] = f"2020-{1 + number * 5 // len(rows):02}-15"
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "mine.toml").write_text(in_months(load_dataset("real_estate").text))
    variables = {"CSV": "rows.csv", "DATASET": "mine.toml", "TREES": "10", "THREADS": "1", "OUT": "out.json"}
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = []
    for _ in range(2):
        evaluate_in_time.main()
        main()
        measures = json.loads(Path("out.json").read_text())
        found.append({name: [each["mae"] for each in periods] for name, periods in measures.items()})
        assert Path("out.svg").read_text().startswith("<svg ")
    assert found[0] == found[1]
    assert [len(periods) for periods in found[0].values()] == [3] * len(POLICIES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"ORDER=time: the dataset file has no periods: add \[batches\]"),
        (
            '[batches]\nby = "prev_sold_date"\nevery = "year"\n',
            "clean rows of 1 periods are too few: 4 periods are",
        ),
    ],
)
def test_what_has_no_order_of_time_is_one_line(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a model is fitted."""
    rows = api_rows(0, 60, 3)
    for row in rows:
        row["prev_sold_date"] = "2020-03-15"
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    whole = load_dataset("real_estate").text
    (tmp_path / "mine.toml").write_text(f"{in_months(whole).partition('[batches]')[0]}{text}")
    monkeypatch.setenv("CSV", str(tmp_path / "rows.csv"))
    monkeypatch.setenv("DATASET", str(tmp_path / "mine.toml"))
    with pytest.raises(Stop, match=message):
        evaluate_in_time.main()
