"""Reads the rows of a recipe on a Spark cluster: the executors read them from Kafka, clean them and keep them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from veleta.adapters.spark import read_ranges
from veleta.batches import BatchReader, ManifestCheck, RowsDeleted, RowsDigest
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, BatchRows, OffsetRange
from veleta.events.envelope import Record, decode
from veleta.settings import KafkaSettings
from veleta.topics import topic
from veleta_trainer.adapters.spark_columns import BATCH, ArrowMap, SparkColumns
from veleta_trainer.domain.clean_rows import CleanBatch

FACTS = "facts"


@dataclass(frozen=True)
class _Wanted:
    """A batch that is read: its position, and where its chunks are."""

    position: int
    ranges: Sequence[OffsetRange]

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether a record is one of its chunks. The range of another batch may have an earlier publication of it."""
        place = row["partition"], row["offset"]
        return any(part.partition == place[0] and part.first <= place[1] <= part.last for part in self.ranges)


class SparkRows:
    """The clean rows of batches, which the executors keep on their disks until the session ends."""

    def __init__(self, spark: SparkSession, kafka: KafkaSettings, dataset: Dataset) -> None:
        self._spark = spark
        self._kafka = kafka
        self._dataset = dataset
        self._columns = SparkColumns(dataset, [(FACTS, pa.string())])
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
        wanted = {manifests[position].batch: _Wanted(position, ranges) for position, ranges in located.items()}
        records = self._records(wanted)
        cleaned = records.mapInArrow(_cleaner(self._dataset.text, wanted), self._columns.sql)
        self._cleaned = cleaned.persist(StorageLevel.DISK_ONLY)
        facts = self._facts(self._cleaned)
        digests = _digests(records, wanted)
        read = dict[int, Mapping[str, int]]()
        for position in located:
            manifest = manifests[position]
            try:
                read[position] = _checked(manifest, facts.get(position, ()), digests.get(manifest.batch, ""))
            except Reject as error:
                unreadable[manifest.batch] = str(error)
        return read, unreadable

    def frame(self, positions: Iterable[int]) -> DataFrame:
        """The clean rows of batches that were read, as columns of `SparkColumns`."""
        assert self._cleaned is not None, "read first"  # noqa: S101 - the order of two calls
        rows = self._cleaned.where(sql.col(FACTS).isNull()).drop(FACTS)
        return rows.where(sql.col(BATCH).isin(list(positions)))

    def _records(self, wanted: Mapping[str, _Wanted]) -> DataFrame:
        name = topic(self._dataset.name, "rows")
        ranges = merged(part for each in wanted.values() for part in each.ranges)
        records = read_ranges(self._spark, self._kafka, name, ranges).withColumn("key", sql.col("key").cast("string"))
        return records.where(sql.col("key").isin(list(wanted)))

    def _facts(self, cleaned: DataFrame) -> Mapping[int, list[dict[str, Any]]]:
        """What each chunk had, by the position of its batch, in the order of the chunks."""
        found = defaultdict[int, list[dict[str, Any]]](list)
        rows = cleaned.where(sql.col(FACTS).isNotNull()).select(BATCH, FACTS).collect()
        for row in rows:
            found[row[BATCH]].append(orjson.loads(row[FACTS]))
        for each in found.values():
            each.sort(key=lambda fact: (fact["partition"], fact["offset"]))
        return found


def merged(ranges: Iterable[OffsetRange]) -> list[OffsetRange]:
    """The same offsets in as few ranges as possible, by partition and offset."""
    found = list[OffsetRange]()
    for part in sorted(ranges, key=lambda each: (each.partition, each.first)):
        last = found[-1] if found else None
        if last and last.partition == part.partition and part.first <= last.last + 1:
            found[-1] = last.model_copy(update={"last": max(last.last, part.last)})
        else:
            found.append(part)
    return found


def _checked(manifest: BatchClosed, facts: Sequence[Mapping[str, Any]], digest: str) -> Mapping[str, int]:
    """Compare what was read with the manifest: the rejected rows by reason. Raises Reject."""
    check, rejected = ManifestCheck(manifest), Counter[str]()
    for fact in facts:
        if fact["fault"]:
            raise Reject(fact["fault"])
        check.add(fact["chunk"], fact["first_row"], fact["rows"])
        rejected.update(fact["rejected"])
    check.finish(digest)
    return rejected


def _cleaner(text: str, wanted: Mapping[str, _Wanted]) -> ArrowMap:
    """Clean the chunks in records. A chunk gives its clean rows, and a row that has only facts about it."""

    def run(records: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset = parse_dataset(text)
        columns = SparkColumns(dataset, [(FACTS, pa.string())])
        for row in _wanted_rows(records, wanted):
            yield from _cleaned_chunk(dataset, columns, wanted[row["key"]].position, row)

    return run


def _cleaned_chunk(
    dataset: Dataset, columns: SparkColumns, position: int, row: Mapping[str, Any]
) -> Iterator[pa.RecordBatch]:
    facts: dict[str, Any] = {"partition": row["partition"], "offset": row["offset"], "fault": ""}
    try:
        chunk = _payload(dataset.name, row)
    except Reject as error:
        yield _facts_batch(columns, position, facts | {"fault": str(error)})
        return
    if chunk is None:
        return
    clean = CleanBatch.of_rows(dataset, [chunk.rows])
    # Rejected rows leave no gap: the order is what counts.
    rows = columns.record_batch(clean.table, position, chunk.first_row + np.arange(len(clean.table)))
    yield rows.append_column(FACTS, pa.nulls(len(rows), pa.string()))
    counts = {"chunk": chunk.chunk, "first_row": chunk.first_row, "rows": clean.received, "rejected": clean.rejected}
    yield _facts_batch(columns, position, facts | counts)


def _facts_batch(columns: SparkColumns, position: int, facts: Mapping[str, Any]) -> pa.RecordBatch:
    known = {BATCH: position, FACTS: orjson.dumps(facts).decode()}
    return pa.RecordBatch.from_arrays(
        [pa.array([known.get(name)], kind) for name, kind in columns.types.items()], names=list(columns.types)
    )


def _digests(records: DataFrame, wanted: Mapping[str, _Wanted]) -> Mapping[str, str]:
    """The digest of each batch. It depends on the order of all rows, so one task computes that of a batch."""
    ordered = records.repartition("key").sortWithinPartitions("key", "partition", "offset")
    found = ordered.mapInArrow(_digester(wanted), "key string, digest string").collect()
    return {row["key"]: row["digest"] for row in found}


def _digester(wanted: Mapping[str, _Wanted]) -> ArrowMap:
    """Compute the digest of each batch in records that are sorted. A chunk that cannot be read is left out."""

    def run(records: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        digests = dict[str, RowsDigest]()
        for row in _wanted_rows(records, wanted):
            digest = digests.setdefault(row["key"], RowsDigest())
            with suppress(Reject):
                if chunk := _payload("", row):
                    digest.add(chunk.rows)
        found = {"key": list(digests), "digest": [each.hexdigest() for each in digests.values()]}
        yield pa.RecordBatch.from_pydict(found, pa.schema([("key", pa.string()), ("digest", pa.string())]))

    return run


def _wanted_rows(records: Iterable[pa.RecordBatch], wanted: Mapping[str, _Wanted]) -> Iterator[Mapping[str, Any]]:
    return (row for batch in records for row in batch.to_pylist() if wanted[row["key"]].has(row))


def _payload(dataset: str, row: Mapping[str, Any]) -> BatchRows | None:
    """The chunk in a record, None for another event. Raises Reject. Without a dataset its name is not checked."""
    headers = tuple((header["key"], header["value"]) for header in row["headers"] or ())
    name = topic(dataset, "rows") if dataset else "rows"
    payload = decode(Record(name, row["partition"], row["offset"], row["key"], headers, row["value"])).payload
    return payload if isinstance(payload, BatchRows) else None
