"""The table of manifests follows the topic `batches`."""

import pytest

from support.records import event, message, missed, publish_chunks
from support.twins.drift import MemoryDriftUnitOfWork
from support.twins.shared import CountingLog, MemoryLog, MemoryTransactions
from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import encode
from veleta.processing import manifests
from veleta.processing.manifests import Manifests
from veleta.topics import topic

BATCHES = topic("d", "batches")


class Setup:
    """Manifests on a log in memory."""

    def __init__(self) -> None:
        self.log = CountingLog()
        self.wipe()

    def wipe(self) -> None:
        """An empty table."""
        self.transactions = MemoryTransactions(MemoryDriftUnitOfWork())
        self.manifests = Manifests("d", self.log, self.transactions)

    def close(self, epoch: int, number: int, **changes: object) -> BatchClosed:
        """Publish a manifest."""
        rows = publish_chunks(MemoryLog(), "d", epoch, number, [[{"a": number}]])
        manifest = rows.model_copy(update=changes)
        self.log.publish([encode(BATCHES, event(f"{manifest.batch}/closed", manifest))])
        return manifest

    async def numbers(self, epoch: int = 1, number: int = 1_000, limit: int = 1_000) -> list[int]:
        return [each.number for each in await self.manifests.newest(epoch, number, limit)]

    @property
    def reads(self) -> int:
        """Records that were read since the last call."""
        return self.log.read_records.pop(BATCHES, 0)


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_the_newest_batches_of_an_epoch_are_returned_by_number(setup: Setup) -> None:
    """Up to the given one, and no more than the limit."""
    for epoch, number in ((1, 0), (1, 2), (1, 1), (1, 3), (2, 0)):
        setup.close(epoch, number)
    assert await setup.numbers(1, 2) == [0, 1, 2]
    assert await setup.numbers(1, 9, limit=2) == [2, 3]
    assert await setup.numbers(3) == []


@pytest.mark.failure("F244")
async def test_only_new_records_are_read(setup: Setup) -> None:
    """A record that is no manifest is read again until a manifest follows it."""
    setup.close(1, 0)
    assert await setup.numbers() == [0]
    assert setup.reads == 1
    setup.log.publish([encode(BATCHES, missed("d", 1))])
    setup.close(1, 2)
    assert await setup.numbers() == [0, 2]
    assert setup.reads == 2
    assert await setup.numbers() == [0, 2]
    assert setup.reads == 0


async def test_the_last_manifest_of_a_batch_counts(setup: Setup) -> None:
    """A batch that was published again is read from its new place. Findings are left out."""
    setup.close(1, 0, digest="first")
    again = setup.close(1, 0, digest="again", findings=["a finding"])
    assert await setup.manifests.newest(1, 0, 10) == [again.model_copy(update={"findings": []})]


async def test_records_that_are_no_manifests_are_skipped(setup: Setup) -> None:
    """Also one that claims to be one, and cannot be decoded."""
    broken = message(BATCHES, value=b"\xff", headers=[("ce_type", b"batch.closed")])
    setup.log.publish([broken, encode(BATCHES, missed("d", 0)), message(BATCHES)])
    setup.close(1, 1)
    assert await setup.numbers() == [1]


@pytest.mark.failure("F245")
async def test_an_empty_table_is_filled_in_portions(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wipe, or an upgrade from a version without the table: each record is read once, and few are held."""
    monkeypatch.setattr(manifests, "PORTION", 3)
    for number in range(10):
        setup.close(1, number)
    assert await setup.numbers() == [*range(10)]
    assert setup.reads == 10
    setup.wipe()
    assert await setup.numbers(1, 4) == [*range(5)]
    assert setup.reads == 10


@pytest.mark.failure("F245")
async def test_a_portion_that_was_stored_is_not_read_again(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed while it filled the table."""
    monkeypatch.setattr(manifests, "PORTION", 3)
    for number in range(6):
        setup.close(1, number)
    with monkeypatch.context() as patch:
        patch.setattr(manifests, "_save", _killed_at_second_call())
        with pytest.raises(KeyboardInterrupt):
            await setup.numbers()
    setup.log.read_records.clear()
    assert await setup.numbers() == [*range(6)]
    assert setup.reads == 3


@pytest.mark.failure("F246")
async def test_manifests_of_a_topic_that_was_recreated_are_forgotten(setup: Setup) -> None:
    """The table then has those of the new topic only."""
    for number in range(5):
        setup.close(1, number)
    await setup.numbers()
    setup.log.topics[BATCHES].clear()
    setup.close(1, 1)
    assert await setup.numbers() == [1]


def _killed_at_second_call() -> object:
    save, portions = manifests._save, list[int]()

    def call(found: list[tuple[int, BatchClosed]], uow: MemoryDriftUnitOfWork) -> None:
        if portions:
            raise KeyboardInterrupt
        portions.append(len(found))
        save(found, uow)

    return call
