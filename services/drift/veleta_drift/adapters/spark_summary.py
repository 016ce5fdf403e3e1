"""Reads a batch on a Spark cluster: the executors read its rows, and the driver gets its statistics and its sample."""

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from veleta.adapters.spark_batches import ArrowMap, ChunkFacts, Wanted, batch_records, check_batch, chunks, digests
from veleta.dataset import Dataset, Values, parse_dataset
from veleta.events.catalogue import BatchClosed, OffsetRange
from veleta.settings import KafkaSettings
from veleta_drift.domain.row_sample import RowSample
from veleta_drift.domain.statistics import BatchSummary, FittingValues, by_statistic, describe

_CHUNKS = ""
"""In place of the name of a column: a `_Found`, pickled."""
_SCHEMA = pa.schema(
    [("name", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("content", pa.binary())]
)
_SQL = "name string, partition int, offset bigint, content binary"


def read_batch(
    spark: SparkSession, kafka: KafkaSettings, dataset: Dataset, manifest: BatchClosed, located: Sequence[OffsetRange]
) -> tuple[BatchSummary, list[Values]]:
    """The summary of a batch and the clean rows of its sample, as `LocalBatchSampler` finds them.

    `located` is where its chunks are. Raises Reject.
    """
    wanted = {manifest.batch: Wanted(0, located)}
    records = batch_records(spark, kafka, dataset.name, wanted)
    read = records.mapInArrow(_reader(dataset.text, manifest, wanted), _SQL)
    # A column's numbers of all rows get into one task, in their order, so that the statistics have the same bits.
    ordered = read.repartition("name").sortWithinPartitions("name", "partition", "offset")
    contents = dict[str, list[Any]]()
    for row in ordered.mapInArrow(_describe, _SQL).collect():
        contents.setdefault(row["name"], []).append(pickle.loads(row["content"]))  # noqa: S301 - from this job
    found: list[_Found] = sorted(contents.pop(_CHUNKS, []), key=_place)
    digest = digests(records, dataset.name, wanted).get(manifest.batch, "")
    check_batch(manifest, [each.facts for each in found], digest)
    fitting, nothing = FittingValues(dataset), describe(np.empty(0))
    counts = np.sum([each.counts for each in found], axis=0, dtype=int).tolist() if found else [0] * len(fitting.names)
    described = {name: contents[name][0] if name in contents else nothing for name in fitting.numeric}
    summary = BatchSummary(manifest.rows, dict(zip(fitting.names, counts, strict=True)), by_statistic(described))
    return summary, [row for each in found for row in each.sample]


@dataclass(frozen=True)
class _Found:
    """What the driver gets of a chunk: its facts, the number of values of each column, and its rows of the sample."""

    facts: ChunkFacts
    counts: Sequence[int]
    sample: Sequence[Values]


def _place(found: _Found) -> tuple[int, int]:
    return found.facts.partition, found.facts.offset


def _reader(text: str, manifest: BatchClosed, wanted: Mapping[str, Wanted]) -> ArrowMap:
    """A chunk gives the numbers of each column, and a `_Found`."""

    def run(records: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset = parse_dataset(text)
        fitting = FittingValues(dataset)
        for _, facts, chunk in chunks(records, dataset.name, wanted):
            rows = chunk.rows if chunk else []
            numbers, counts = fitting.read(rows)
            sample = RowSample(dataset, manifest.rows, facts.first_row)
            sample.add(rows)
            contents = {name: values.tobytes() for name, values in numbers.items()}
            contents[_CHUNKS] = pickle.dumps(_Found(facts, tuple(counts.values()), sample.clean()))
            yield _batch([(name, facts.partition, facts.offset, content) for name, content in contents.items()])

    return run


def _describe(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Describe the numbers of each column in rows that are sorted. Those of chunks stay."""
    rows = (row for batch in batches for row in batch.to_pylist())
    for name, group in groupby(rows, key=itemgetter("name")):
        if name == _CHUNKS:
            yield from (_batch([tuple(row.values())]) for row in group)
        else:
            numbers = np.frombuffer(b"".join(row["content"] for row in group))
            yield _batch([(name, 0, 0, pickle.dumps(describe(numbers)))])


def _batch(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), _SCHEMA.types, strict=True)],
        schema=_SCHEMA,
    )
