"""Reads the rows of a recipe on a Spark cluster: the executors read them from Kafka, clean them and keep them."""

import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from veleta.adapters.spark_batches import (
    ArrowMap,
    ChunkFacts,
    Wanted,
    batch_records,
    check_batch,
    chunks,
    digests,
)
from veleta.batches import BatchReader, RowsDeleted
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, OffsetRange
from veleta.settings import KafkaSettings
from veleta_trainer.adapters.spark_columns import BATCH, SparkColumns
from veleta_trainer.domain.clean_rows import CleanBatch

FACTS = "facts"
"""The facts of a chunk and its rejected rows by reason, pickled."""


class SparkRows:
    """The clean rows of batches, which the executors keep on their disks until the session ends."""

    def __init__(self, spark: SparkSession, kafka: KafkaSettings, dataset: Dataset) -> None:
        self._spark = spark
        self._kafka = kafka
        self._dataset = dataset
        self._columns = _with_facts(dataset)
        self._cleaned: DataFrame | None = None

    def read(
        self, manifests: Sequence[BatchClosed], reader: BatchReader
    ) -> tuple[dict[int, Mapping[str, int]], dict[str, str]]:
        """Read batches, which `reader` finds in their topic.

        Returns the rejected rows by reason of each batch that was read, by its position; and the faults of the others,
        by their ids. Raises Retry.
        """
        located, unreadable = dict[int, Sequence[OffsetRange]](), dict[str, str]()
        deleted = reader.deleted(self._dataset.name, manifests)
        for position, manifest in enumerate(manifests):
            try:
                if manifest.batch in deleted:
                    raise RowsDeleted(manifest.batch)
                located[position] = reader.located(manifest)
            except Reject as error:
                unreadable[manifest.batch] = str(error)
        wanted = {manifests[position].batch: Wanted(position, ranges) for position, ranges in located.items()}
        records = batch_records(self._spark, self._kafka, self._dataset.name, wanted)
        cleaned = records.mapInArrow(_cleaner(self._dataset.text, wanted), self._columns.sql)
        self._cleaned = cleaned.persist(StorageLevel.DISK_ONLY)
        facts, rejected = self._facts(self._cleaned)
        found = digests(records, self._dataset.name, wanted)
        read = dict[int, Mapping[str, int]]()
        for position in located:
            manifest = manifests[position]
            try:
                check_batch(manifest, facts[position], found.get(manifest.batch, ""))
                read[position] = rejected[position]
            except Reject as error:
                unreadable[manifest.batch] = str(error)
        return read, unreadable

    def frame(self, positions: Iterable[int]) -> DataFrame:
        """The clean rows of batches that were read, as columns of `SparkColumns`."""
        assert self._cleaned is not None, "read first"  # noqa: S101 - the order of two calls
        rows = self._cleaned.where(sql.col(FACTS).isNull()).drop(FACTS)
        return rows.where(sql.col(BATCH).isin(list(positions)))

    def _facts(self, cleaned: DataFrame) -> tuple[Mapping[int, list[ChunkFacts]], Mapping[int, Counter[str]]]:
        """What each chunk had, and the rejected rows by reason, by the position of the batch."""
        found, rejected = defaultdict[int, list[ChunkFacts]](list), defaultdict[int, Counter[str]](Counter)
        for row in cleaned.where(sql.col(FACTS).isNotNull()).select(BATCH, FACTS).collect():
            facts, reasons = pickle.loads(row[FACTS])  # noqa: S301 - from an executor of this job
            found[row[BATCH]].append(facts)
            rejected[row[BATCH]].update(reasons)
        return found, rejected


def _with_facts(dataset: Dataset) -> SparkColumns:
    return SparkColumns(dataset, [(FACTS, pa.binary())])


def _cleaner(text: str, wanted: Mapping[str, Wanted]) -> ArrowMap:
    """Clean the chunks in records. A chunk gives its clean rows, and a row that has only facts about it."""

    def run(records: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset = parse_dataset(text)
        columns = _with_facts(dataset)
        for batch, facts, chunk in chunks(records, dataset.name, wanted):
            if chunk is None:
                yield _facts_batch(columns, batch.position, facts, {})
                continue
            clean = CleanBatch.of_rows(dataset, [chunk.rows])
            # Rejected rows leave no gap: the order is what counts.
            numbers = chunk.first_row + np.arange(len(clean.table))
            rows = columns.record_batch(clean.table, batch.position, numbers)
            yield rows.append_column(FACTS, pa.nulls(len(rows), pa.binary()))
            yield _facts_batch(columns, batch.position, facts, clean.rejected)

    return run


def _facts_batch(
    columns: SparkColumns, position: int, facts: ChunkFacts, rejected: Mapping[str, int]
) -> pa.RecordBatch:
    known = {BATCH: position, FACTS: pickle.dumps((facts, rejected))}
    return pa.RecordBatch.from_arrays(
        [pa.array([known.get(name)], kind) for name, kind in columns.types.items()], names=list(columns.types)
    )
