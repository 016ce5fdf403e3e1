"""What the executors of a Spark cluster do in a training, beside reading rows: fit, predict and measure."""

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import orjson
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession

from veleta.adapters.spark_batches import ArrowMap
from veleta.dataset import Dataset, parse_dataset
from veleta_trainer.adapters import child_protocol
from veleta_trainer.adapters.spark_columns import ADDED, BATCH, ROW, SparkColumns
from veleta_trainer.domain.clean_rows import CleanBatch, CleanRows
from veleta_trainer.domain.learning import Learnt
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.row_predictions import RowPredictions
from veleta_trainer.domain.training_data import NumberedRows, TrainingData
from veleta_trainer.training_folder import Champion
from veleta_trainer.version_files import write_version

FAULT = "champion_fault"
FILES = {"path": pa.string(), "content": pa.binary()}
_PREDICTED = [(name, pa.bool_() if name == "outside" else pa.float64()) for name in RowPredictions.arrays()]
PREDICTED = [*_PREDICTED, (FAULT, pa.string())]
Models: TypeAlias = "Broadcast[tuple[bytes, bytes]]"
"""What was learnt and the champion, both pickled: an executor gets them once for all of its tasks."""


@dataclass(frozen=True)
class Counts:
    """What a training needs to know of a batch beside its clean rows: see `TrainingData.append`."""

    number: int
    holdout_only: bool
    received: int
    rejected: Mapping[str, int]


def fit(rows: DataFrame, recipe: Recipe, counts: Mapping[int, Counts], threads: int) -> bytes:
    """Learn rows in one task: a pickled `Learnt`. `counts` has each batch of the rows by its position."""
    ordered = rows.repartition(1).sortWithinPartitions(BATCH, ROW)
    (found,) = ordered.mapInArrow(_fitter(recipe, counts, threads), "learnt binary").collect()
    return bytes(found["learnt"])


def share(spark: SparkSession, learnt: bytes, champion: Champion | None) -> Models:
    """Send what was learnt, as `fit` returns it, and the champion to the executors."""
    return spark.sparkContext.broadcast((learnt, pickle.dumps(champion)))


def predict(rows: DataFrame, dataset: Dataset, models: Models) -> DataFrame:
    """The rows with what the models predict for them."""
    return rows.mapInArrow(_predictor(dataset.text, models), SparkColumns(dataset, PREDICTED).sql)


def measure(
    predicted: DataFrame,
    recipe: Recipe,
    numbers: Mapping[int, int],
    models: Models,
    threads: int,
    folder: Path,
) -> tuple[dict[str, float], str]:
    """Measure a version in one task, and write its files to `folder`: its metrics, and why there is no champion.

    `numbers` has the number of each batch by its position.
    """
    ordered = predicted.repartition(1).sortWithinPartitions(BATCH, ROW)
    files = ordered.mapInArrow(_measurer(recipe, numbers, models, threads), "path string, content binary")
    for each in files.toLocalIterator():
        path = folder / each["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(each["content"])
    path = folder / child_protocol.METRICS
    found = orjson.loads(path.read_bytes())
    path.unlink()
    return found["metrics"], found[FAULT]


def _fitter(recipe: Recipe, counts: Mapping[int, Counts], threads: int) -> ArrowMap:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset = parse_dataset(recipe.dataset_file)
        data = _training_data(dataset, SparkColumns(dataset).table(batches), counts)
        learnt = Learnt.of(dataset, data, recipe.params, threads)
        yield pa.RecordBatch.from_pydict({"learnt": [pickle.dumps(learnt)]}, pa.schema([("learnt", pa.binary())]))

    return run


def _training_data(dataset: Dataset, table: pa.Table, counts: Mapping[int, Counts]) -> TrainingData:
    """The rows of a table that is sorted by the positions of batches."""
    data, positions = TrainingData(dataset), np.asarray(table.column(BATCH))
    own = table.drop_columns(list(ADDED))
    for position, each in sorted(counts.items()):
        first, end = np.searchsorted(positions, [position, position + 1]).tolist()
        rows = CleanBatch(own.slice(first, end - first), each.received, each.rejected)
        data.append(rows, each.number, holdout_only=each.holdout_only)
    return data


def _predictor(text: str, models: Models) -> ArrowMap:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset, (learnt, champion) = parse_dataset(text), _loaded(models)
        columns = SparkColumns(dataset)
        for batch in batches:
            if batch.num_rows:
                rows = CleanRows(dataset, [columns.table([batch]).drop_columns(list(ADDED))])
                found = RowPredictions.of(dataset, learnt, champion and champion.booster, rows)
                predicted = [pa.array(getattr(found, name)) for name in RowPredictions.arrays()]
                faults = pa.array([found.champion_fault] * batch.num_rows, pa.string())
                names = [*batch.schema.names, *(name for name, _ in PREDICTED)]
                yield pa.RecordBatch.from_arrays([*batch.columns, *predicted, faults], names)

    return run


def _measurer(recipe: Recipe, numbers: Mapping[int, int], models: Models, threads: int) -> ArrowMap:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset, (learnt, champion) = parse_dataset(recipe.dataset_file), _loaded(models)
        table = SparkColumns(dataset, PREDICTED).table(batches)
        predicted = _row_predictions(table)
        positions = np.asarray(table.column(BATCH))
        batch_numbers = np.array([numbers[position] for position in positions.tolist()])
        own = table.drop_columns([*ADDED, *(name for name, _ in PREDICTED)])
        rows = NumberedRows(CleanRows(dataset, [own]), batch_numbers)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            metrics = write_version(folder, dataset, recipe, learnt, rows, predicted, champion, threads)
            found = orjson.dumps({"metrics": metrics, FAULT: predicted.champion_fault})
            (folder / child_protocol.METRICS).write_bytes(found)
            for path in sorted(each for each in folder.rglob("*") if each.is_file()):
                file = {"path": [str(path.relative_to(folder))], "content": [path.read_bytes()]}
                yield pa.RecordBatch.from_pydict(file, pa.schema(list(FILES.items())))

    return run


def _loaded(models: Models) -> tuple[Learnt, Champion | None]:
    learnt, champion = models.value
    return pickle.loads(learnt), pickle.loads(champion)  # noqa: S301 - from the driver of this job


def _row_predictions(table: pa.Table) -> RowPredictions:
    arrays = {name: np.asarray(table.column(name)) for name in RowPredictions.arrays()}
    faults = set(table.column(FAULT).unique().to_pylist()) - {""}
    return RowPredictions(**arrays, champion_fault=min(faults, default=""))
