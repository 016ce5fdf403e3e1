"""The child process that fits a model: `python -m veleta_trainer.fit FOLDER THREADS CACHE BYTES`.

FOLDER has recipe.json and, if there is a champion, champion.cbm and the dataset file of its training, champion.toml.
The output is model.cbm, metrics.json, sample.parquet (holdout rows to explain the model with), the folder evaluation,
and recipe.json without the batches that could not be read and with the reason why the champion was not compared.
CACHE is the folder of cleaned batches, which has at most BYTES.
Its login to Kafka is the trainer's, from the environment.
Progress goes to stdout, one JSON object per line: phase, done, of and error (a number while trees are fitted).
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from catboost import CatBoostError, CatBoostRegressor

from veleta.adapters.kafka import KafkaLog
from veleta.batches import BatchReader
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject, Retry, one_line
from veleta.features import Features, identity_columns
from veleta.predictor import FEATURES, Predictor, check_features
from veleta.reference import REFERENCE_FILE
from veleta.settings import KafkaSettings
from veleta_trainer.adapters import child_protocol
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.adapters.tables import write_table
from veleta_trainer.clean_batch_reader import CleanBatchReader
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.clean_rows import CleanRows
from veleta_trainer.domain.evaluation import CHALLENGER, CHAMPION, WHOLE, Predicted, evaluate, largest_errors, slices
from veleta_trainer.domain.gates import Errors, compare, coverage_gate, example_gate, latest_gate, middle_prices
from veleta_trainer.domain.holdout import Holdout
from veleta_trainer.domain.interval_model import HoldoutPredictions
from veleta_trainer.domain.linear_baseline import NAME as BASELINE
from veleta_trainer.domain.linear_baseline import fit_linear_baseline
from veleta_trainer.domain.market_model import VersionModels, fit_models, levels_of
from veleta_trainer.domain.price_model import predict
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.reference import later_errors, version_reference
from veleta_trainer.ports import EVALUATING, FITTING, BatchCache
from veleta_trainer.recipe_reader import RecipeReader

LEARNING_CURVE_POINTS = 20
SAMPLE_ROWS = 1_000
"""Rows of the holdout that the pictures of an explanation show. More rows give the same picture."""


def main(folder: Path, kafka: KafkaSettings, threads: int, cache: BatchCache) -> None:
    """Read the rows of the recipe, fit and evaluate. Raises Retry or Reject."""
    recipe = Recipe.model_validate_json((folder / child_protocol.RECIPE).read_text())
    dataset = parse_dataset(recipe.dataset_file)
    reader = CleanBatchReader(dataset, BatchReader(KafkaLog(kafka, "trainer-fit")), cache)
    rows = RecipeReader(dataset, reader, partial(report_progress, "reading"))
    recipe, data = rows.read(recipe), rows.data
    # An upgrade may have brought another table since the training was planned.
    recipe = recipe.model_copy(update={"places_digest": Features(dataset).places_digest})
    if shortage := data.shortage():
        raise Reject(shortage)
    models = _fit(dataset, data.train, recipe.params, threads)
    booster, error_model = models.both
    report_progress(EVALUATING, 0, 1)
    holdout = Holdout.of(data.holdout.labelled(), models.market)
    predictions = HoldoutPredictions.of_models(dataset, models.both, holdout.house)
    predictions.calibration().save(booster.get_metadata(), _file_of(error_model, folder / child_protocol.ERROR_MODEL))
    booster.get_metadata()[FEATURES] = str(recipe.feature_version)
    recipe.definition.save(booster.get_metadata())
    learnt = data.train.training_values()
    learnt.save(booster.get_metadata())
    if errors := predictions.holdout_errors(data.holdout.outside(learnt)):
        errors.save(booster.get_metadata())
    if models.market:
        models.market.save(booster.get_metadata())
    booster.save_model(str(folder / child_protocol.MODEL))
    low, high = predictions.other_half_intervals()
    predicted = {CHALLENGER: holdout.predicted(predictions.logarithms, low, high)}
    try:
        if champion := load_champion(folder, dataset):
            logarithms = predict(champion, dataset, holdout.house.frame)
            levels = holdout.rows.levels(levels_of(champion, recipe.champion_levels))
            predicted[CHAMPION] = holdout.predicted(logarithms + levels - holdout.levels)
    except (Reject, CatBoostError) as error:
        recipe = recipe.model_copy(update={"not_compared": one_line(error)})
    (folder / child_protocol.RECIPE).write_text(recipe.model_dump_json())
    train = data.train.labelled()
    baseline = fit_linear_baseline(dataset, train.frame, train.at(train.levels(models.market)).prices)
    predicted[BASELINE] = holdout.predicted(baseline.predict(holdout.house.frame))
    metrics = _evaluate(dataset, holdout, predicted, folder / child_protocol.EVALUATION)
    metrics |= {"train_rows": float(len(train)), "holdout_rows": float(len(holdout.house))}
    reference = version_reference(dataset, data, predictions, models, threads)
    later = later_errors(dataset, data, models, recipe.params, threads)
    reference.model_copy(update={"last": recipe.newest, "later": later}).write(folder / REFERENCE_FILE)
    (example_price,) = Predictor(dataset, booster).prices([dataset.convert(dataset.example)[0]])
    gates = [example_gate(dataset, example_price), *_compare(dataset, holdout, predicted, recipe.champion)]
    if "coverage" in metrics:
        gates.append(coverage_gate(metrics["coverage"], len(holdout.house)))
    found = json.dumps([asdict(gate) for gate in gates])
    (folder / child_protocol.EVALUATION / child_protocol.GATES_FILE).write_text(found)
    holdout.house.frame.head(SAMPLE_ROWS).to_parquet(folder / child_protocol.SAMPLE)
    _write_last(folder / child_protocol.METRICS, json.dumps(metrics))


def _fit(dataset: Dataset, train: CleanRows, params: Mapping[str, Any], threads: int) -> VersionModels:
    """The models of the version."""
    report_progress("building features", 0, 1)
    curve = _LearningCurve(int(params["iterations"]))
    return fit_models(dataset, train.labelled(), params, threads, [curve], lambda phase: report_progress(phase, 0, 1))


def _write_last(path: Path, text: str) -> None:
    """Write a file that exists only when it is complete: it shows that all others are."""
    temporary = path.with_suffix(".temporary")
    temporary.write_text(text)
    temporary.rename(path)


def load_champion(folder: Path, dataset: Dataset) -> CatBoostRegressor | None:
    """The champion. None if there is none.

    Raises:
        Reject: its file is damaged, or the dataset file changed so much since its training that a comparison is unfair.
    """
    path, file = folder / child_protocol.CHAMPION, folder / child_protocol.CHAMPION_DATASET
    if not path.exists():
        return None
    try:
        champion = CatBoostRegressor().load_model(str(path))
    except CatBoostError as error:
        raise Reject("the model's file is damaged", one_line(error)) from error
    trained_with = file.read_text(encoding="utf-8") if file.exists() else None
    check_features(dataset, champion, trained_with)
    before = parse_dataset(trained_with) if trained_with else dataset
    if identity_columns(before) != identity_columns(dataset):
        detail = f"identity was {_identity(before)}, now {_identity(dataset)}"
        raise Reject("the model may have learnt rows of this holdout", detail)
    return champion


def _identity(dataset: Dataset) -> str:
    """What identifies a property, in words."""
    named, all_names = ", ".join(dataset.identity), identity_columns(dataset)
    if all_names == dataset.identity:
        return named
    inputs = f"all inputs ({', '.join(all_names[len(dataset.identity) :])})"
    return f"{named} or {inputs}" if named else inputs


def report_progress(phase: str, done: int, of: int, error: float | None = None) -> None:
    """Report progress to the parent process."""
    sys.stdout.write(json.dumps({"phase": phase, "done": done, "of": of, "error": error}) + "\n")
    sys.stdout.flush()


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


@dataclass
class _LearningCurve:
    """CatBoost's callback after each tree."""

    trees: int

    def after_iteration(self, info: Any) -> bool:
        if info.iteration % max(1, self.trees // LEARNING_CURVE_POINTS) == 0:
            report_progress(FITTING, info.iteration, self.trees, info.metrics["learn"]["RMSE"][-1])
        return True


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), KafkaSettings(), int(sys.argv[2]), BatchFiles.of_arguments(sys.argv[3:]))
    except (Retry, Reject) as error:
        sys.stderr.write(str(error))
        sys.exit(child_protocol.UNAVAILABLE if isinstance(error, Retry) else child_protocol.NOT_TRAINABLE)
