"""The rows that retention deletes, on a log and tables in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from support.batches import publish_batch
from support.twins.shared import MemoryLog
from veleta.dataset import load_dataset
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_retention.adapters.batch_index import BatchIndex
from veleta_retention.domain.kept_rows import BatchKey, Limits
from veleta_retention.row_sweeper import RowSweeper

DATASET = load_dataset("real_estate")
ROWS = topic(DATASET.name, "rows")
PROCESSED = 1_000_000
"""An offset beyond all manifests."""


class MemoryTable:
    """`RowTable`: the batches that have rows, of which it deletes one at a time."""

    name = "RAW_DATA.d"

    def __init__(self) -> None:
        self.batches: list[BatchKey] = []

    def delete_before(self, oldest: BatchKey) -> int:
        due = [key for key in self.batches if key < oldest]
        if due:
            self.batches.remove(due[0])
        return len(due[:1])


class MemoryRows:
    """`RowTopic` on a log."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.calls = 0

    def delete_before(self, offsets: Mapping[int, int]) -> int:
        self.calls += 1
        begin = self._log.bounds(ROWS)[0][0]
        self._log.delete_before(ROWS, 0, offsets[0])
        return offsets[0] - begin


class MemoryReaders:
    """`RowReaders`."""

    def __init__(self) -> None:
        self.offset = PROCESSED
        self.training: BatchKey | None = None
        self.epoch = 1_000

    def newest_epoch(self) -> int:
        return self.epoch

    def processed(self) -> int:
        return self.offset

    def trainings_from(self) -> BatchKey | None:
        return self.training


async def now() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC)


class Setup:
    """Batches of three epochs, each with one record of rows, and a sweeper with limits."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.table = MemoryTable()
        self.rows = MemoryRows(self.log)
        self.readers = MemoryReaders()
        for epoch, number in ((1, 0), (1, 1), (2, 0), (3, 0)):
            self.publish(epoch, number)

    def publish(self, epoch: int, number: int) -> None:
        publish_batch(self.log, DATASET, epoch, number, [{"price": 1.0}])
        self.table.batches.append((epoch, number))

    def sweeper(self, epochs: int) -> RowSweeper:
        return RowSweeper(
            BatchIndex(self.log, DATASET.name),
            self.readers,
            [self.table],
            self.rows,
            Limits(epochs, days=0),
            ServiceHealth("retention"),
            now,
        )

    @property
    def begin(self) -> int:
        """The first record of `rows` that is left."""
        return self.log.bounds(ROWS)[0][0]


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_rows_beyond_the_limit_are_deleted_everywhere(setup: Setup) -> None:
    """In the tables and in the topic. The manifests stay."""
    await setup.sweeper(2).sweep()
    assert (setup.table.batches, setup.begin) == ([(2, 0), (3, 0)], 2)
    assert setup.log.bounds(topic(DATASET.name, "batches"))[0] == (0, 8)


async def test_a_new_epoch_moves_the_limit(setup: Setup) -> None:
    """When the loader has loaded it. A sweep without one deletes nothing."""
    sweeper = setup.sweeper(2)
    await sweeper.sweep()
    await sweeper.sweep()
    assert setup.rows.calls == 1
    setup.publish(4, 0)
    setup.readers.epoch = 3
    await sweeper.sweep()
    assert setup.rows.calls == 1
    setup.readers.epoch = 4
    await sweeper.sweep()
    assert (setup.table.batches, setup.begin) == ([(3, 0), (4, 0)], 3)


async def test_without_a_limit_nothing_is_read_or_deleted(setup: Setup) -> None:
    """The topics need not be reachable."""
    setup.log.topics.clear()
    await setup.sweeper(0).sweep()
    assert setup.rows.calls == 0


@pytest.mark.failure("F251")
async def test_rows_that_a_service_has_not_processed_are_kept(setup: Setup) -> None:
    """Loader or drift was down, or its database was wiped. They are deleted after it has caught up."""
    sweeper = setup.sweeper(1)
    setup.readers.offset = 3  # the manifest of batch 1/1, the second of its two events
    await sweeper.sweep()
    assert setup.begin == 1
    setup.readers.offset = PROCESSED
    await sweeper.sweep()
    assert setup.begin == 3


@pytest.mark.failure("F251")
async def test_rows_of_a_waiting_training_are_kept(setup: Setup) -> None:
    """Until it has ended."""
    sweeper = setup.sweeper(1)
    setup.readers.training = (2, 0)
    await sweeper.sweep()
    assert setup.begin == 2
    setup.readers.training = None
    await sweeper.sweep()
    assert setup.begin == 3


async def test_a_new_process_continues_where_the_rows_begin(setup: Setup) -> None:
    """It deletes what another one left, and finds no batch to delete again."""
    await setup.sweeper(2).sweep()
    await setup.sweeper(2).sweep()
    assert setup.begin == 2
    await setup.sweeper(1).sweep()
    assert setup.begin == 3
