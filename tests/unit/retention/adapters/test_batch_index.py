"""The batches with rows, from the topic `batches`."""

import pytest

from support.batches import publish_batch
from support.records import message
from support.twins.shared import CountingLog, MemoryLog
from veleta.dataset import load_dataset
from veleta.topics import topic
from veleta_retention.adapters import batch_index
from veleta_retention.adapters.batch_index import BatchIndex

DATASET = load_dataset("real_estate")
BATCHES, ROWS = topic(DATASET.name, "batches"), topic(DATASET.name, "rows")


@pytest.fixture
def log() -> CountingLog:
    log = CountingLog()
    log.topics = {BATCHES: [], ROWS: []}
    return log


def publish(log: MemoryLog, count: int, first: int = 0) -> None:
    """Publish batches with two records in `batches` and one in `rows` each."""
    for number in range(first, first + count):
        publish_batch(log, DATASET, 1, number, [{"price": 1.0}])


def test_each_manifest_is_read_once(log: CountingLog) -> None:
    """A refresh reads only what was published since the last one."""
    index = BatchIndex(log, DATASET.name)
    publish(log, 3)
    assert list(index.refresh()) == [(1, 0), (1, 1), (1, 2)]
    log.read_records.clear()
    publish(log, 1, first=3)
    assert list(index.refresh())[-1] == (1, 3)
    assert sum(log.read_records.values()) == 2


@pytest.mark.parametrize("history", [10, 100, 1_000])
def test_the_first_reading_does_not_grow_with_deleted_batches(
    log: CountingLog, history: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes back from the end, until a manifest is of deleted rows."""
    monkeypatch.setattr(batch_index, "WINDOW", 4)
    publish(log, history + 3)
    log.delete_before(ROWS, 0, history)
    index = BatchIndex(log, DATASET.name)
    found = list(index.refresh())
    assert found[-3:] == [(1, history), (1, history + 1), (1, history + 2)]
    assert len(found) <= 5
    assert sum(log.read_records.values()) <= 20


def test_other_events_and_broken_records_are_skipped(log: CountingLog) -> None:
    """And a batch that was published again is at its new place."""
    publish(log, 1)
    log.publish([message(BATCHES, value=b"\xff")])
    publish(log, 1)
    (batch,) = BatchIndex(log, DATASET.name).refresh().values()
    assert (batch.offset, batch.first_rows) == (4, {0: 1})


def test_a_topic_that_was_recreated_is_read_from_its_beginning(log: CountingLog) -> None:
    """Its end is below what was read."""
    index = BatchIndex(log, DATASET.name)
    publish(log, 3)
    index.refresh()
    log.topics[BATCHES].clear()
    publish(log, 1, first=7)
    assert (1, 7) in index.refresh()
