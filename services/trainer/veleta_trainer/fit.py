"""The child process that fits a model: `python -m veleta_trainer.fit THREADS CACHE BYTES FOLDER`.

FOLDER has recipe.json and, if there is a champion, champion.cbm and the dataset file of its training, champion.toml.
The output is model.cbm, metrics.json, sample.parquet (holdout rows to explain the model with), the folder evaluation,
and recipe.json without the batches that could not be read and with the reason why the champion was not compared.
CACHE is the folder of cleaned batches, which has at most BYTES.
Its login to Kafka is the trainer's, from the environment.
Progress goes to stdout, one JSON object per line: phase, done, of and error (a number while trees are fitted).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from veleta.adapters.kafka import KafkaLog
from veleta.batches import BatchReader
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry
from veleta.settings import KafkaSettings
from veleta_trainer.adapters import child_protocol
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.clean_batch_reader import CleanBatchReader
from veleta_trainer.domain.learning import Learnt
from veleta_trainer.domain.row_predictions import RowPredictions
from veleta_trainer.domain.training_data import TrainingData
from veleta_trainer.ports import EVALUATING, FITTING, BatchCache
from veleta_trainer.recipe_reader import RecipeReader
from veleta_trainer.training_folder import champion_of, finish, read_recipe, report_progress
from veleta_trainer.version_files import write_version

LEARNING_CURVE_POINTS = 20


def main(folder: Path, kafka: KafkaSettings, threads: int, cache: BatchCache) -> None:
    """Read the rows of the recipe, fit and evaluate. Raises Retry or Reject."""
    recipe, dataset = read_recipe(folder)
    reader = CleanBatchReader(dataset, BatchReader(KafkaLog(kafka, "trainer-fit")), cache)
    rows = RecipeReader(dataset, reader, partial(report_progress, "reading"))
    recipe, data = rows.read(recipe), rows.data
    if recipe.max_rows:
        recipe = recipe.model_copy(update={"learnt_share": data.limit(recipe.max_rows)})
    if shortage := data.shortage():
        raise Reject(shortage)
    learnt = _learn(dataset, data, recipe.params, threads)
    report_progress(EVALUATING, 0, 1)
    champion, not_compared = champion_of(folder, dataset, recipe.champion_levels)
    holdout = data.numbered_holdout()
    predicted = RowPredictions.of(dataset, learnt, champion and champion.booster, holdout.rows)
    metrics = write_version(folder, dataset, recipe, learnt, holdout, predicted, champion, threads)
    finish(folder, recipe, predicted.champion_fault or not_compared, metrics)


def _learn(dataset: Dataset, data: TrainingData, params: Mapping[str, Any], threads: int) -> Learnt:
    report_progress("building features", 0, 1)
    curve = _LearningCurve(int(params["iterations"]))
    return Learnt.of(dataset, data, params, threads, [curve], lambda phase: report_progress(phase, 0, 1))


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
        main(Path(sys.argv[4]), KafkaSettings(), int(sys.argv[1]), BatchFiles.of_arguments(sys.argv[2:4]))
    except (Retry, Reject) as error:
        sys.stderr.write(str(error))
        sys.exit(child_protocol.UNAVAILABLE if isinstance(error, Retry) else child_protocol.NOT_TRAINABLE)
