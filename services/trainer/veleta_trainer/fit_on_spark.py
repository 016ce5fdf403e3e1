"""The child process that fits a model on a Spark cluster: `python -m veleta_trainer.fit_on_spark THREADS FOLDER`.

It is the driver of the cluster's job. FOLDER, the output and the progress are those of `veleta_trainer.fit`. Its
address of the cluster and its login to Kafka are from the environment. The executors read, clean and keep the rows,
one task of them fits, and all of them predict the prices of the holdout.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.spark import spark_session, watched_executors
from veleta.adapters.spark_batches import named_faults
from veleta.batches import BatchReader
from veleta.errors import MAX_REASON_LENGTH, Reject, Retry
from veleta.settings import KafkaSettings, SparkSettings
from veleta_trainer import spark_tasks
from veleta_trainer.adapters import child_protocol
from veleta_trainer.adapters.spark_columns import BATCH, BUCKET, HELD
from veleta_trainer.adapters.spark_rows import SparkRows
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.row_limit import BUCKETS, bucket_limit
from veleta_trainer.domain.training_data import shortage
from veleta_trainer.ports import EVALUATING, FITTING_ON_CLUSTER, WAITING_FOR_CORES
from veleta_trainer.recipe_reader import describe_faults
from veleta_trainer.spark_tasks import Counts
from veleta_trainer.training_folder import champion_of, finish, read_recipe, report_progress


def main(folder: Path, kafka: KafkaSettings, cluster: SparkSettings, threads: int) -> None:
    """Read the rows of the recipe, fit and evaluate. Raises Retry or Reject."""
    recipe, dataset = read_recipe(folder)
    event_log = KafkaLog(kafka, "trainer-fit")
    champion, not_compared = champion_of(folder, dataset, recipe.champion_levels)
    progress = _Progress()
    progress.begin("starting Spark")
    scratch, log = folder / child_protocol.SCRATCH, folder / child_protocol.SPARK_LOG
    with (
        spark_session(cluster, kafka, "trainer", scratch, log) as spark,
        watched_executors(spark, progress.repeat),
        named_faults(event_log, dataset.name, cluster.master),
    ):
        progress.begin("reading on the cluster")
        rows = SparkRows(spark, kafka, dataset)
        recipe, counts = _read(rows, recipe, BatchReader(event_log))
        every = rows.frame(counts)
        _check_rows(every, counts)
        train = every.where(~sql.col(HELD) & sql.col(BATCH).isin(_trained(counts)))
        if recipe.max_rows:
            train, share = _limited(train, recipe.max_rows)
            recipe = recipe.model_copy(update={"learnt_share": share})
        # See `Learnt.of`.
        rows_to_learn = train.unionByName(every.where(sql.col(HELD))) if dataset.market else train
        progress.begin(FITTING_ON_CLUSTER)
        learnt = spark_tasks.fit(rows_to_learn, recipe, counts, threads)
        progress.begin(EVALUATING)
        models = spark_tasks.share(spark, learnt, champion)
        predicted = spark_tasks.predict(every.where(sql.col(HELD)), dataset, models)
        numbers = {position: each.number for position, each in counts.items()}
        metrics, fault = spark_tasks.measure(predicted, recipe, numbers, models, threads, folder)
    finish(folder, recipe, fault or not_compared, metrics)


class _Progress:
    """The phase of the job, of which nothing more is known."""

    def __init__(self) -> None:
        self._phase = ""

    def begin(self, phase: str) -> None:
        self._phase = phase
        report_progress(phase, 0, 1)

    def repeat(self, waits: bool) -> None:
        report_progress(WAITING_FOR_CORES if waits else self._phase, 0, 1)


def _read(rows: SparkRows, recipe: Recipe, reader: BatchReader) -> tuple[Recipe, dict[int, Counts]]:
    """Read the batches: the recipe with those that were read, and the counts of each by its position."""
    planned, more = recipe.batches, recipe.more_holdout
    manifests = [*planned, *more]
    read, faults = rows.read(manifests, reader)
    counts = {
        position: Counts(manifests[position].number, position >= len(planned), manifests[position].rows, rejected)
        for position, rejected in read.items()
    }
    batches = [manifest for position, manifest in enumerate(planned) if position in read]
    if not batches:
        raise Reject("no batch can be read", describe_faults(faults))
    changes = {
        "batches": batches,
        "more_holdout": [manifest for position, manifest in enumerate(more, len(planned)) if position in read],
        "unreadable": {batch: fault[:MAX_REASON_LENGTH] for batch, fault in faults.items()},
    }
    return recipe.model_copy(update=changes), counts


def _trained(counts: Mapping[int, Counts]) -> list[int]:
    """The positions of the batches whose rows are learnt."""
    return [position for position, each in counts.items() if not each.holdout_only]


def _limited(train: DataFrame, most: int) -> tuple[DataFrame, float]:
    """See `TrainingData.limit`."""
    counts = np.zeros(BUCKETS, int)
    for each in train.groupBy(BUCKET).count().collect():
        counts[each[BUCKET]] = each["count"]
    if counts.sum() <= most:
        return train, 1.0
    limit = bucket_limit(counts, most)
    return train.where(sql.col(BUCKET) < limit), float(counts[:limit].sum() / counts.sum())


def _check_rows(every: DataFrame, counts: Mapping[int, Counts]) -> None:
    """Raise Reject if there are too few rows."""
    rows = {(each[BATCH], each[HELD]): each["count"] for each in every.groupBy(BATCH, HELD).count().collect()}
    trained = _trained(counts)
    train = sum(rows.get((position, False), 0) for position in trained)
    holdout = sum(rows.get((position, True), 0) for position in counts)
    rejected = Counter[str]()
    for position in trained:
        rejected.update(counts[position].rejected)
    if fault := shortage(train, holdout, sum(counts[position].received for position in trained), rejected):
        raise Reject(fault)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[2]), KafkaSettings(), SparkSettings(), int(sys.argv[1]))
    except (Retry, Reject) as error:
        sys.stderr.write(str(error))
        sys.exit(child_protocol.UNAVAILABLE if isinstance(error, Retry) else child_protocol.NOT_TRAINABLE)
