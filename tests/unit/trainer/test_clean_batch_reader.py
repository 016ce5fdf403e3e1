"""Batches that are read and cleaned once."""

from typing import Any

import pytest

from support.batches import publish_batch
from support.dataset_changes import CHANGES
from support.listings import api_rows
from support.trainer import DATASET
from support.twins.shared import CountingLog
from support.twins.trainer import MemoryBatches
from veleta import features
from veleta.batches import BatchReader, RowsDeleted
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.topics import topic
from veleta_trainer import clean_batch_reader
from veleta_trainer.clean_batch_reader import CleanBatchReader
from veleta_trainer.domain import clean_rows

ROWS = topic(DATASET.name, "rows")


class Reading:
    """A log with a batch, and a cache."""

    def __init__(self) -> None:
        self.log = CountingLog()
        self.cache = MemoryBatches()
        self.manifest = self.publish(0)

    def publish(self, number: int, **manifest: Any) -> BatchClosed:
        return publish_batch(self.log, DATASET, 1, number, api_rows(0, 250, 1), **manifest)

    def reader(self) -> CleanBatchReader:
        """That of a new process."""
        return CleanBatchReader(DATASET, BatchReader(self.log), self.cache)

    def records(self) -> int:
        """The records of rows that were read since the last call."""
        return self.log.read_records.pop(ROWS, 0)


def test_a_batch_is_read_from_kafka_once() -> None:
    """A later process, such as the next training, has the same rows and counts from the cache."""
    reading = Reading()
    first = reading.reader().read(reading.manifest)
    assert reading.records() == reading.manifest.chunks
    again = reading.reader().read(reading.manifest)
    assert reading.records() == 0
    assert again.table.equals(first.table)
    assert (again.received, again.rejected) == (first.received, first.rejected)


def test_a_copy_of_a_batch_has_the_same_columns() -> None:
    """A new epoch repeats the rows of the one before: the digest of the manifest is the same."""
    reading = Reading()
    reading.reader().read(reading.manifest)
    reading.records()
    reading.reader().read(reading.publish(1))
    assert reading.records() == 0


@pytest.mark.parametrize("changed", ["dataset", "features", "format", "rows"])
def test_other_columns_are_not_those_of_the_cache(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another dataset file, other features, another form of the table, or other rows."""
    reading = Reading()
    reading.reader().read(reading.manifest)
    reading.records()
    dataset, manifest = DATASET, reading.manifest
    if changed == "dataset":
        dataset = CHANGES["prefix"].dataset()
    if changed == "features":
        monkeypatch.setattr(clean_batch_reader, "FEATURE_VERSION", features.FEATURE_VERSION + 1)
    if changed == "format":
        monkeypatch.setattr(clean_batch_reader, "FORMAT", clean_rows.FORMAT + 1)
    if changed == "rows":
        manifest = publish_batch(reading.log, DATASET, 1, 0, api_rows(0, 251, 1))
    CleanBatchReader(dataset, BatchReader(reading.log), reading.cache).read(manifest)
    assert reading.records() > 0
    assert len(reading.cache.batches) == 2


@pytest.mark.failure("F438")
def test_a_batch_that_the_cache_lost_is_read_again() -> None:
    """And stored again."""
    reading = Reading()
    first = reading.reader().read(reading.manifest)
    reading.cache.batches.clear()
    reading.records()
    assert reading.reader().read(reading.manifest).table.equals(first.table)
    assert reading.records() == reading.manifest.chunks
    assert len(reading.cache.batches) == 1


@pytest.mark.failure("F439")
def test_rows_that_retention_deleted_are_not_taken_from_the_cache() -> None:
    """A training has the same rows with a cache and without one. It takes one request for all batches."""
    reading = Reading()
    reader, kept = reading.reader(), reading.publish(1)
    reader.read(reading.manifest)
    reading.log.delete_before(ROWS, 0, kept.ranges[0].first)
    reader.find_deleted([reading.manifest, kept])
    reader.read(kept)
    with pytest.raises(RowsDeleted):
        reader.read(reading.manifest)


@pytest.mark.failure("F107")
def test_a_batch_that_cannot_be_read_is_not_cached() -> None:
    """The next training reads it again, because Kafka may have been repaired."""
    reading = Reading()
    damaged = reading.publish(2, digest="wrong")
    for _ in range(2):
        with pytest.raises(Reject, match="the manifest does not match"):
            reading.reader().read(damaged)
    assert reading.cache.batches == {}
