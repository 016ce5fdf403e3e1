"""`python -m veleta_trainer.evaluate`: measures the model on the rows of a file, by cross-validation.

It needs no running deployment. Each clean row is predicted by models that learnt from other properties, with the code
and the parameters of a training. A model of another library on the same rows and features shows what that is worth.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.bounds import Seed, Trees, Workers
from veleta.console import run, show
from veleta.dataset import Dataset, EvaluationRule, load_dataset
from veleta.errors import Stop
from veleta.features import MIN_TRAINING_ROWS
from veleta.input.clean_rows import clean_rows
from veleta.intervals import COVERAGE
from veleta.settings import read_settings
from veleta_trainer.domain.catboost_params import catboost_params
from veleta_trainer.domain.clean_rows import CleanRows, ColumnBuilder
from veleta_trainer.domain.comparison_model import NAME, fit_comparison_model
from veleta_trainer.domain.evaluation import WHOLE, slices
from veleta_trainer.domain.folds import FoldPredictions, out_of_fold
from veleta_trainer.domain.scores import interval_scores, scores

FIFTHS = 5
PERCENT = 100


class EvaluationSettings(BaseSettings):
    """The variables of `make evaluate`."""

    model_config = SettingsConfigDict(frozen=True)
    csv: Path = Field(description="the CSV or Parquet file with the rows")
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    folds: int = Field(5, ge=2, le=20, description="number of parts; each is predicted by models of the others")
    seed: Seed = Field(0, description="decides which property is in which part; also CatBoost's random seed")
    out: Path = Field(Path("evaluation.parquet"), description="the Parquet file that is written, a line for each row")
    trees: Trees = Field(500, description="number of trees of a model")
    depth: int = Field(6, ge=1, le=10, description="depth of a tree")
    threads: Workers = Field(os.cpu_count() or 1, description="threads that CatBoost may use")


def main() -> None:
    """Evaluate, write the predictions and print the scores. Raises Stop."""
    settings = read_settings(EvaluationSettings)
    dataset = load_dataset(settings.dataset)
    numbers, rows = read_rows(settings.csv, dataset)
    if len(rows) < MIN_TRAINING_ROWS * settings.folds:
        raise Stop(f"CSV={settings.csv}: {len(rows)} clean rows are too few for {settings.folds} folds")
    show(f"{len(rows):,} clean rows, {settings.folds} folds by property, seed {settings.seed}")
    params = catboost_params(settings.trees, settings.depth, settings.seed)
    found = out_of_fold(dataset, rows, params, settings.folds, settings.seed, settings.threads, _report)
    _write(settings.out, dataset.target, numbers, rows.prices(), found)
    compared = _comparison(dataset, rows, found.folds, settings.seed)
    for line in report(rows.frame(), rows.prices(), found, compared):
        show(line)
    show(f"predictions: {settings.out}")


def read_rows(path: Path, dataset: Dataset) -> tuple[list[int], CleanRows]:
    """The clean rows of a file, whatever batch they belong to, and the position of each in the file, from 0.

    Raises:
        FaultyInput: the file cannot be read, or has no usable row.
    """
    numbers, clean = list[int](), ColumnBuilder(dataset)
    for number, values in clean_rows(path, dataset):
        numbers.append(number)
        clean.append(values)
    return numbers, CleanRows(dataset, [clean.table()])


def report(frame: pd.DataFrame, prices: np.ndarray, found: FoldPredictions, compared: np.ndarray) -> list[str]:
    """The lines with the scores of the predictions, of the intervals, and of the model of another library.

    `frame` has the features of the rows. If columns are optional, complete and incomplete rows have lines of their own.
    """
    lines = [_scores_line("Veleta", prices, found.predictions), _scores_line(NAME, prices, compared)]
    lines += _intervals_lines(prices, found)
    for name, rows in slices(EvaluationRule(), frame, prices):
        if name != WHOLE:
            part = f"{name} ({rows.sum():,})"
            lines.append(_scores_line(f"{part}: Veleta", prices[rows], found.predictions[rows]))
            lines.append(_scores_line(f"{part}: {NAME}", prices[rows], compared[rows]))
            lines += [f"{part}: {_coverage(prices[rows], found.low[rows], found.high[rows])}"]
    return lines


def _intervals_lines(prices: np.ndarray, found: FoldPredictions) -> list[str]:
    if not interval_scores(prices, found.low, found.high):
        return ["no intervals: too few rows"]
    inside = (found.low <= prices) & (prices <= found.high)
    fifths = pd.qcut(found.predictions, FIFTHS, labels=False, duplicates="drop")
    shares = ", ".join(f"{PERCENT * inside[fifths == fifth].mean():.1f}" for fifth in np.unique(fifths))
    return [f"{_coverage(prices, found.low, found.high)}, by fifth of the prediction {shares}"]


def _coverage(prices: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    if not (measured := interval_scores(prices, low, high)):
        return "no intervals"
    width, coverage = PERCENT * measured["interval_width"], PERCENT * measured["coverage"]
    return (
        f"intervals of {PERCENT * COVERAGE:.0f} %: median width {width:.0f} % of the price, coverage {coverage:.1f} %"
    )


def _scores_line(name: str, prices: np.ndarray, predictions: np.ndarray) -> str:
    found = scores(prices, predictions)
    ape = PERCENT * found["median_ape"]
    return f"{name}: MAE {found['mae']:,.0f}, median APE {ape:.2f} %, R2 {found['r2']:.3f}"


def _comparison(dataset: Dataset, rows: CleanRows, folds: np.ndarray, seed: int) -> np.ndarray:
    frame, prices, predictions = rows.frame(), rows.prices(), np.empty(len(rows))
    for fold in np.unique(folds):
        inside = folds == fold
        model = fit_comparison_model(dataset, frame[~inside], prices[~inside], seed)
        predictions[inside] = np.exp(model.predict(frame[inside]))
    return predictions


def _write(path: Path, target: str, numbers: list[int], prices: np.ndarray, found: FoldPredictions) -> None:
    columns = {
        "row": numbers,
        "fold": found.folds,
        target: prices,
        "prediction": found.predictions,
        "low": found.low,
        "high": found.high,
        "size": found.sizes,
    }
    temporary = path.with_name(f".{path.name}.temporary")
    pd.DataFrame(columns).to_parquet(temporary, index=False)
    temporary.rename(path)


def _report(fold: int) -> None:
    show(f"fold {fold + 1}")


if __name__ == "__main__":
    run(main)
