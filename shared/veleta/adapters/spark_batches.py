"""Batches on a Spark cluster: their chunks, as executors read them, and the check against their manifests.

It needs the extra `spark`.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from veleta.adapters.spark import SPARK_ERRORS, read_ranges
from veleta.adapters.spark_master import require_master
from veleta.batches import ManifestCheck, RowsDigest
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, BatchRows, OffsetRange
from veleta.events.envelope import Record, decode
from veleta.ports import EventLog
from veleta.settings import KafkaSettings
from veleta.topics import topic

ArrowMap = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]
"""A function for `mapInArrow`."""


@dataclass(frozen=True)
class Wanted:
    """A batch that is read: its position among those that are read together, and where its chunks are."""

    position: int
    ranges: Sequence[OffsetRange]

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether a record is one of its chunks. The range of another batch may have an earlier publication of it."""
        place = row["partition"], row["offset"]
        return any(part.partition == place[0] and part.first <= place[1] <= part.last for part in self.ranges)


@dataclass(frozen=True)
class ChunkFacts:
    """What the check of a batch needs to know of a chunk, or why that cannot be read."""

    partition: int
    offset: int
    chunk: int = 0
    first_row: int = 0
    rows: int = 0
    fault: Reject | None = None


def batch_records(spark: SparkSession, kafka: KafkaSettings, dataset: str, wanted: Mapping[str, Wanted]) -> DataFrame:
    """The records of batches, by their ids, and perhaps others with these ids."""
    ranges = merged(part for each in wanted.values() for part in each.ranges)
    records = read_ranges(spark, kafka, topic(dataset, "rows"), ranges).withColumn("key", sql.col("key").cast("string"))
    return records.where(sql.col("key").isin(list(wanted)))


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


def chunks(
    records: Iterable[pa.RecordBatch], dataset: str, wanted: Mapping[str, Wanted]
) -> Iterator[tuple[Wanted, ChunkFacts, BatchRows | None]]:
    """The chunks in records of `batch_records`, with their batch. One that cannot be read has only facts."""
    for row in _wanted_rows(records, wanted):
        place = row["partition"], row["offset"]
        try:
            chunk = _payload(dataset, row)
        except Reject as error:
            yield wanted[row["key"]], ChunkFacts(*place, fault=error), None
            continue
        if chunk:
            facts = ChunkFacts(*place, chunk.chunk, chunk.first_row, len(chunk.rows))
            yield wanted[row["key"]], facts, chunk


def digests(records: DataFrame, dataset: str, wanted: Mapping[str, Wanted]) -> Mapping[str, str]:
    """The digest of each batch. It depends on the order of all rows, so one task computes that of a batch."""
    ordered = records.repartition("key").sortWithinPartitions("key", "partition", "offset")
    found = ordered.mapInArrow(_digester(dataset, wanted), "key string, digest string").collect()
    return {row["key"]: row["digest"] for row in found}


def check_batch(manifest: BatchClosed, facts: Iterable[ChunkFacts], digest: str) -> None:
    """Compare the chunks of a batch, in any order, and its digest with the manifest, as `BatchReader` does.

    Raises Reject.
    """
    check = ManifestCheck(manifest)
    for each in sorted(facts, key=lambda each: (each.partition, each.offset)):
        if each.fault:
            raise each.fault
        check.add(each.chunk, each.first_row, each.rows)
    check.finish(digest)


@contextlib.contextmanager
def named_faults(event_log: EventLog, dataset: str, master: str) -> Iterator[None]:
    """Raise Retry in place of an error of a job, if Kafka or the cluster is unavailable now."""
    try:
        yield
    except SPARK_ERRORS:
        event_log.bounds(topic(dataset, "rows"))
        require_master(master)
        raise


def _digester(dataset: str, wanted: Mapping[str, Wanted]) -> ArrowMap:
    """Compute the digest of each batch in records that are sorted. A chunk that cannot be read is left out."""

    def run(records: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = dict[str, RowsDigest]()
        for row in _wanted_rows(records, wanted):
            digest = found.setdefault(row["key"], RowsDigest())
            with contextlib.suppress(Reject):
                if chunk := _payload(dataset, row):
                    digest.add(chunk.rows)
        columns = {"key": list(found), "digest": [each.hexdigest() for each in found.values()]}
        yield pa.RecordBatch.from_pydict(columns, pa.schema([("key", pa.string()), ("digest", pa.string())]))

    return run


def _wanted_rows(records: Iterable[pa.RecordBatch], wanted: Mapping[str, Wanted]) -> Iterator[Mapping[str, Any]]:
    return (row for batch in records for row in batch.to_pylist() if wanted[row["key"]].has(row))


def _payload(dataset: str, row: Mapping[str, Any]) -> BatchRows | None:
    """The chunk in a record, None for another event. Raises Reject."""
    headers = tuple((header["key"], header["value"]) for header in row["headers"] or ())
    record = Record(topic(dataset, "rows"), row["partition"], row["offset"], row["key"], headers, row["value"])
    payload = decode(record).payload
    return payload if isinstance(payload, BatchRows) else None
