"""`python -m veleta_trainer.evaluate_in_time`: what models of the past predict for the rows of later periods.

It needs no running deployment. The periods are those of `[batches]` of the dataset file. After each period two models
learn from all rows so far: one of prices, and one of prices without the level of their period. `make backtest
ORDER=time` compares policies with them.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.bounds import Seed, Trees, Workers
from veleta.console import run, show
from veleta.dataset import Dataset, MarketRule, load_dataset
from veleta.errors import Stop
from veleta.features import MIN_TRAINING_ROWS, is_held_out
from veleta.input.clean_rows import clean_rows
from veleta.market import periods_of
from veleta.origins import COLUMNS, OriginModel, Origins, write_origins
from veleta.settings import read_settings
from veleta_trainer.domain.catboost_params import catboost_params
from veleta_trainer.domain.clean_rows import CleanRows, ColumnBuilder
from veleta_trainer.domain.interval_model import HoldoutPredictions
from veleta_trainer.domain.labelled_rows import LabelledRows
from veleta_trainer.domain.market_model import fit_models
from veleta_trainer.domain.price_model import fit_price_model, predict

FIRST = 1
"""The position of the period after which the first model is trained: one period alone shows no change."""
MIN_PERIODS = 4


class TimeSettings(BaseSettings):
    """The variables of `make backtest ORDER=time` that the models depend on."""

    model_config = SettingsConfigDict(frozen=True)
    csv: Path = Field(description="the CSV or Parquet file with the rows")
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    seed: Seed = Field(0, description="CatBoost's random seed")
    origins: Path = Field(Path("origins.parquet"), description="the Parquet file that is written")
    trees: Trees = Field(500, description="number of trees of a model")
    depth: int = Field(6, ge=1, le=10, description="depth of a tree")
    threads: Workers = Field(2, description="threads that CatBoost may use")


def main() -> None:
    """Fit all models and write their predictions. Raises Stop."""
    settings = read_settings(TimeSettings)
    dataset = in_market(load_dataset(settings.dataset))
    rows = read_rows(settings.csv, dataset)
    params = catboost_params(settings.trees, settings.depth, settings.seed)
    write_origins(settings.origins, *predictions(dataset, rows, params, settings.threads, show))


def in_market(dataset: Dataset) -> Dataset:
    """The dataset with a market whose periods are those of its batches.

    Raises Stop: the dataset file does not divide the rows by time.
    """
    by = dataset.batches.by or (dataset.market.time if dataset.market else None)
    if by is None:
        raise Stop('ORDER=time: the dataset file has no periods: add [batches] with by = "date" and every = "month"')
    rule = (dataset.market or MarketRule(time=by)).model_copy(update={"time": by, "every": dataset.batches.every})
    return dataset.model_copy(update={"market": rule})


def read_rows(path: Path, dataset: Dataset) -> LabelledRows:
    """The clean rows of a file, with their days.

    Raises:
        FaultyInput: the file cannot be read, or has no usable row.
        Stop: there are too few periods or rows.
    """
    clean = ColumnBuilder(dataset)
    for _, values in clean_rows(path, dataset):
        clean.append(values)
    rows = CleanRows(dataset, [clean.table()]).labelled()
    periods = periods_in(dataset, rows)
    different = np.unique(periods)
    if len(different) < MIN_PERIODS or (periods <= different[FIRST]).sum() < 2 * MIN_TRAINING_ROWS:
        counts = f"{len(rows):,} clean rows of {len(different)} periods"
        raise Stop(
            f"CSV={path}: {counts} are too few: {MIN_PERIODS} periods are needed, with more rows in the first ones"
        )
    return rows


def periods_in(dataset: Dataset, rows: LabelledRows) -> np.ndarray:
    """The number of the period of each row."""
    if rows.days is None or dataset.market is None or dataset.market.every is None:
        raise TypeError("the rows have no days")
    return periods_of(rows.days, dataset.market.every)


def predictions(
    dataset: Dataset, rows: LabelledRows, params: Mapping[str, Any], threads: int, report: Callable[[str], None]
) -> tuple[Origins, pa.Table]:
    """The models of each period but the last one, and their predictions, in order of time."""
    periods = periods_in(dataset, rows)
    numbers = np.unique(periods).tolist()
    models, tables = list[OriginModel](), list[pa.Table]()
    without = dataset.model_copy(update={"market": None})
    for origin in range(FIRST, len(numbers) - 1):
        for asked in (without, dataset):
            model, table = _model(asked, rows, periods <= numbers[origin], origin, params, threads)
            models.append(model)
            tables.append(table)
        report(f"period {origin + 1} of {len(numbers) - 1}: {model.rows:,} rows, {model.seconds:.0f} s")
    return Origins(periods=periods.tolist(), models=models), pa.concat_tables(tables)


def _model(
    dataset: Dataset, rows: LabelledRows, past: np.ndarray, origin: int, params: Mapping[str, Any], threads: int
) -> tuple[OriginModel, pa.Table]:
    """One model, and its predictions.

    As in `make evaluate`, what predicts the price learns from all rows so far. A model that leaves out the holdout
    shows how large the errors are: for its intervals, and for what drift compares with.
    """
    began = time.monotonic()
    held = is_held_out(rows.properties)
    models = fit_models(dataset, rows.part(past & ~held), params, threads)
    house = rows.at(rows.levels(models.market))
    of_holdout = HoldoutPredictions.of_models(dataset, models.both, house.part(past & held))
    learnt, later = house.part(past), rows.part(~past)
    whole = fit_price_model(dataset, learnt.frame, learnt.prices, params, threads)
    logarithms = np.concatenate([of_holdout.logarithms, predict(whole, dataset, later.frame)])
    sizes = np.concatenate([of_holdout.sizes, np.exp(predict(models.error_model, dataset, later.frame))])
    positions = np.concatenate([np.flatnonzero(past & held), np.flatnonzero(~past)])
    count, is_house = len(positions), models.market is not None
    values = np.full(count, origin), np.full(count, is_house), positions, logarithms, sizes
    columns = {name: pa.array(each).cast(kind) for (name, kind), each in zip(COLUMNS.items(), values, strict=True)}
    found = OriginModel(
        origin=origin,
        house=is_house,
        rows=len(learnt),
        seconds=time.monotonic() - began,
        calibration=of_holdout.calibration(),
        market=models.market,
    )
    return found, pa.table(columns)


if __name__ == "__main__":
    run(main)
