"""Measures a version on its holdout, and writes its files: those that the trainer logs as a run."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from catboost import CatBoostRegressor

from veleta.dataset import Dataset
from veleta.predictor import FEATURES, Predictor
from veleta.reference import REFERENCE_FILE
from veleta_trainer.adapters import child_protocol
from veleta_trainer.adapters.tables import write_table
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.evaluation import CHALLENGER, CHAMPION, WHOLE, Predicted, evaluate, largest_errors, slices
from veleta_trainer.domain.gates import Errors, compare, coverage_gate, example_gate, latest_gate, middle_prices
from veleta_trainer.domain.holdout import Holdout
from veleta_trainer.domain.interval_model import HoldoutPredictions
from veleta_trainer.domain.learning import Learnt
from veleta_trainer.domain.linear_baseline import NAME as BASELINE
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.reference import version_reference
from veleta_trainer.domain.row_predictions import RowPredictions
from veleta_trainer.domain.training_data import NumberedRows
from veleta_trainer.training_folder import Champion

SAMPLE_ROWS = 1_000
"""Rows of the holdout that the pictures of an explanation show. More rows give the same picture."""


def write_version(
    folder: Path,
    dataset: Dataset,
    recipe: Recipe,
    learnt: Learnt,
    rows: NumberedRows,
    predicted: RowPredictions,
    champion: Champion | None,
    threads: int,
) -> dict[str, float]:
    """Write the files of a version: see `fit`. Returns its metrics.

    `rows` are those of the holdout, and `predicted` is for them.
    """
    booster, error_model = learnt.models.both
    holdout = Holdout.of(rows.rows.labelled(), learnt.models.market)
    house = holdout.house
    own = HoldoutPredictions(predicted.logarithms, predicted.sizes, house.prices, house.properties)
    metadata = booster.get_metadata()
    own.calibration().save(metadata, _file_of(error_model, folder / child_protocol.ERROR_MODEL))
    metadata[FEATURES] = str(recipe.feature_version)
    recipe.definition.save(metadata)
    learnt.values.save(metadata)
    if errors := own.holdout_errors(predicted.outside):
        errors.save(metadata)
    if learnt.models.market:
        learnt.models.market.save(metadata)
    booster.save_model(str(folder / child_protocol.MODEL))
    models = {CHALLENGER: holdout.predicted(predicted.logarithms, *own.other_half_intervals())}
    if champion and not predicted.champion_fault:
        levels = holdout.rows.levels(champion.market)
        models[CHAMPION] = holdout.predicted(predicted.champion + levels - holdout.levels)
    models[BASELINE] = holdout.predicted(predicted.baseline)
    metrics = _evaluate(dataset, holdout, models, folder / child_protocol.EVALUATION)
    metrics |= {"train_rows": float(learnt.sample.train_rows), "holdout_rows": float(len(house))}
    reference = version_reference(dataset, learnt.sample, rows, own, predicted.outside, booster, threads)
    reference.model_copy(update={"last": recipe.newest, "later": learnt.later}).write(folder / REFERENCE_FILE)
    gates = [_example(dataset, booster), *_compare(dataset, holdout, models, recipe.champion)]
    if "coverage" in metrics:
        gates.append(coverage_gate(metrics["coverage"], len(house)))
    found = json.dumps([asdict(gate) for gate in gates])
    (folder / child_protocol.EVALUATION / child_protocol.GATES_FILE).write_text(found)
    house.frame.head(SAMPLE_ROWS).to_parquet(folder / child_protocol.SAMPLE)
    return metrics


def _example(dataset: Dataset, booster: CatBoostRegressor) -> Check:
    (price,) = Predictor(dataset, booster).prices([dataset.convert(dataset.example)[0]])
    return example_gate(dataset, price)


def _evaluate(dataset: Dataset, holdout: Holdout, models: Mapping[str, Predicted], folder: Path) -> dict[str, float]:
    """Write the measures of all models to `folder`. Returns those of the new one, and the MAE of the others."""
    frame, prices = holdout.house.frame, holdout.prices
    figures = evaluate(dataset.evaluation, frame, prices, models, holdout.latest)
    folder.mkdir()
    write_table(folder / child_protocol.FIGURES, pd.DataFrame(figures))
    write_table(folder / "largest_errors.csv", largest_errors(frame, prices, models[CHALLENGER], dataset.target))
    whole = {(each.model, each.metric): each.value for each in figures if each.slice == WHOLE}
    metrics = {metric: value for (model, metric), value in whole.items() if model == CHALLENGER}
    others = {f"{model.partition(' ')[0]}_mae": whole[model, "mae"] for model in models if model != CHALLENGER}
    return metrics | others


def _compare(dataset: Dataset, holdout: Holdout, models: Mapping[str, Predicted], champion: int | None) -> list[Check]:
    """What the gates find that compare the new model with the champion, a version. Nothing without its predictions."""
    if CHAMPION not in models:
        return []
    predicted = models[CHALLENGER].prices, models[CHAMPION].prices
    errors = Errors.of(holdout.prices, *predicted, holdout.house.properties)
    parts = dict(slices(dataset.evaluation, holdout.house.frame, middle_prices(*predicted)))
    latest = [latest_gate(name, errors.part(rows)) for name, rows in holdout.latest.items()]
    return [*compare(errors, parts, champion), *latest]


def _file_of(booster: CatBoostRegressor, path: Path) -> bytes:
    booster.save_model(str(path))
    return path.read_bytes()
