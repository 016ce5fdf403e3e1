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
from veleta.dataset import Dataset, Period, load_dataset
from veleta.errors import Stop
from veleta.features import MIN_TRAINING_ROWS, is_held_out
from veleta.input.clean_rows import clean_rows
from veleta.market import Level
from veleta.origins import COLUMNS, OriginModel, Origins, write_origins
from veleta.periods import period_of
from veleta.settings import read_settings
from veleta_trainer.domain.catboost_params import catboost_params
from veleta_trainer.domain.clean_rows import CleanRows, ColumnBuilder
from veleta_trainer.domain.interval_model import HoldoutPredictions, fit_error_model
from veleta_trainer.domain.market_model import fit_in_market, level_of_rows
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
    dataset = load_dataset(settings.dataset)
    every = require_periods(dataset)
    rows, periods = read_rows(settings.csv, dataset, every)
    params = catboost_params(settings.trees, settings.depth, settings.seed)
    origins, table = predictions(dataset, rows, periods, every, params, settings.threads, show)
    write_origins(settings.origins, origins, table)


def require_periods(dataset: Dataset) -> Period:
    """The length of a period. Raises Stop: the dataset file does not divide the rows by time."""
    if dataset.batches.by is None:
        raise Stop('ORDER=time: the dataset file has no periods: add [batches] with by = "date" and every = "month"')
    return dataset.batches.every


def read_rows(path: Path, dataset: Dataset, every: Period) -> tuple[CleanRows, np.ndarray]:
    """The clean rows of a file, and the number of each one's period.

    Raises:
        FaultyInput: the file cannot be read, or has no usable row.
        Stop: there are too few periods or rows.
    """
    periods, clean, by = list[int](), ColumnBuilder(dataset), str(dataset.batches.by)
    for _, values in clean_rows(path, dataset):
        periods.append(period_of(values[by], every))  # type: ignore[arg-type]  # a clean row has its date
        clean.append(values)
    found = np.array(periods)
    different = np.unique(found)
    if len(different) < MIN_PERIODS or (found <= different[FIRST]).sum() < 2 * MIN_TRAINING_ROWS:
        counts = f"{len(found):,} clean rows of {len(different)} periods"
        raise Stop(
            f"CSV={path}: {counts} are too few: {MIN_PERIODS} periods are needed, with more rows in the first ones"
        )
    return CleanRows(dataset, [clean.table()]), found


def predictions(
    dataset: Dataset,
    rows: CleanRows,
    periods: np.ndarray,
    every: Period,
    params: Mapping[str, Any],
    threads: int,
    report: Callable[[str], None],
) -> tuple[Origins, pa.Table]:
    """The models of each period but the last one, and their predictions, in order of time."""
    numbers = np.unique(periods).tolist()
    models, tables = list[OriginModel](), list[pa.Table]()
    for origin in range(FIRST, len(numbers) - 1):
        for house in (False, True):
            model, table = _model(dataset, rows, periods, numbers[origin], every, params, threads, house=house)
            models.append(model.model_copy(update={"origin": origin}))
            tables.append(table.set_column(0, "origin", pa.array([origin] * len(table), COLUMNS["origin"])))
        report(f"period {origin + 1} of {len(numbers) - 1}: {model.rows:,} rows, {model.seconds:.0f} s")
    return Origins(periods=periods.tolist(), models=models), pa.concat_tables(tables)


def _model(
    dataset: Dataset,
    rows: CleanRows,
    periods: np.ndarray,
    last: int,
    every: Period,
    params: Mapping[str, Any],
    threads: int,
    *,
    house: bool,
) -> tuple[OriginModel, pa.Table]:
    """One model, and its predictions.

    As in `make evaluate`, what predicts the price learns from all rows so far. A model that leaves out the holdout
    shows how large the errors are: for its intervals, and for what drift compares with.
    """
    began = time.monotonic()
    frame, prices, properties = rows.frame(), rows.prices(), rows.properties()
    past, held = periods <= last, is_held_out(properties)
    train, holdout = past & ~held, past & held
    levels, step, offsets = dict[int, Level](), 0.0, np.zeros(len(prices))
    if house:
        fit = fit_in_market(
            dataset, frame[train], prices[train], properties[train], periods[train], every, params, threads
        )
        booster, error_model, levels, step = fit.booster, fit.error_model, dict(fit.levels), fit.step
        offsets[past] = level_of_rows(levels, periods[past])
    else:
        booster = fit_price_model(dataset, frame[train], prices[train], params, threads)
        error_model = fit_error_model(dataset, frame[train], prices[train], properties[train], params, threads)
    adjusted = prices / np.exp(offsets)
    of_holdout = HoldoutPredictions.of_models(
        dataset, (booster, error_model), frame[holdout], adjusted[holdout], properties[holdout]
    )
    whole = fit_price_model(dataset, frame[past], adjusted[past], params, threads)
    later = ~past
    logarithms = np.concatenate([of_holdout.logarithms, predict(whole, dataset, frame[later])])
    sizes = np.concatenate([of_holdout.sizes, np.exp(predict(error_model, dataset, frame[later]))])
    positions = np.concatenate([np.flatnonzero(holdout), np.flatnonzero(later)])
    values = (np.zeros(len(positions)), np.full(len(positions), house), positions, logarithms, sizes)
    table = pa.table(
        {name: pa.array(each).cast(kind) for (name, kind), each in zip(COLUMNS.items(), values, strict=True)}
    )
    seconds = time.monotonic() - began
    found = OriginModel(
        origin=0, house=house, rows=int(past.sum()), seconds=seconds, calibration=of_holdout.calibration(),
        levels=levels, step=step,
    )  # fmt: skip
    return found, table


if __name__ == "__main__":
    run(main)
