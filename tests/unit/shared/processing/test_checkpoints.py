"""Where a service resumes, and how lost state is detected."""

import pytest
from structlog.testing import capture_logs

from support.consumer_service import IN, PARTITION, ConsumerService
from veleta.errors import StateLost
from veleta.processing.checkpoints import CheckpointMonitor, is_due, validated_checkpoints


async def save(service: ConsumerService, offset: int, partition: tuple[str, int] = PARTITION) -> None:
    await service.transactions.run(lambda uow: uow.checkpoints.save(*partition, offset))


async def validated(service: ConsumerService) -> dict[tuple[str, int], int]:
    return dict(await validated_checkpoints([IN], service.log, service.transactions))


async def test_a_record_is_due_once_and_in_order(service: ConsumerService) -> None:
    """Before its turn state was lost; after it, it is not due again."""
    service.publish(1, 2)
    record = service.log.topics[IN][1]
    with pytest.raises(StateLost, match=r"the checkpoint in d\.batches is 0, but record 1 arrived"):
        await service.transactions.run(lambda uow: is_due(record, uow))
    await save(service, 1)
    assert await service.transactions.run(lambda uow: is_due(record, uow))
    await save(service, 2)
    assert not await service.transactions.run(lambda uow: is_due(record, uow))


async def test_a_checkpoint_within_the_topic_stays(service: ConsumerService) -> None:
    """From the first offset to the end, both included."""
    service.publish(1, 2)
    for offset in range(3):
        await save(service, offset)
        assert await validated(service) == {PARTITION: offset}


@pytest.mark.failure("F39")
async def test_a_checkpoint_beyond_the_end_moves_to_the_beginning(service: ConsumerService) -> None:
    """The topic was recreated. The corrected checkpoint is saved."""
    service.publish(1)
    await save(service, 2)
    assert await validated(service) == {PARTITION: 0}
    assert await service.checkpoint() == 0


async def test_a_checkpoint_before_the_first_record_moves_to_it(
    service: ConsumerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records before were deleted."""
    monkeypatch.setattr(service.log, "bounds", lambda _topic: {0: (5, 9)})
    await save(service, 3)
    assert await validated(service) == {PARTITION: 5}
    assert await service.checkpoint() == 5


async def test_each_partition_of_each_topic_is_corrected_by_its_own_bounds(
    service: ConsumerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition without a checkpoint was never read: it begins at its first record. Other checkpoints stay."""
    bounds = {"one": {0: (0, 3), 1: (5, 9), 2: (0, 2)}, "two": {0: (4, 4), 1: (0, 0)}}
    monkeypatch.setattr(service.log, "bounds", bounds.__getitem__)
    stored = {("one", 0): 3, ("one", 2): 7, ("two", 0): 2, ("other", 0): 9}
    for partition, offset in stored.items():
        await save(service, offset, partition)
    corrected = {**stored, ("one", 1): 5, ("one", 2): 0, ("two", 0): 4}
    with capture_logs() as logs:
        assert await validated_checkpoints(["one", "two"], service.log, service.transactions) == corrected
    deleted, recreated = "records were deleted", "topic was recreated"
    assert [line["event"] for line in logs] == [deleted, recreated, deleted]
    assert await service.transactions.run(lambda uow: uow.checkpoints.load_all()) == corrected


async def test_older_checkpoints_in_the_database_are_lost_state(service: ConsumerService) -> None:
    """The database was wiped or restored from an old copy."""
    service.publish(1, 2)
    monitor = CheckpointMonitor(service.transactions)
    monitor.start({PARTITION: 1})
    monitor.after(service.log.topics[IN][1])
    await save(service, 2)
    await monitor.compare()
    monitor.verify()
    await save(service, 1)
    await monitor.compare()
    with pytest.raises(StateLost, match=r"^the database lost checkpoints$"):
        monitor.verify()


async def test_checkpoints_that_are_missing_are_lost_state(service: ConsumerService) -> None:
    """If a record was processed. It does not matter which of the partitions lost its checkpoint."""
    monitor = CheckpointMonitor(service.transactions)
    monitor.verify()
    monitor.start({("empty", 0): 0})
    await monitor.compare()
    monitor.verify()
    monitor.start({("empty", 0): 0, PARTITION: 1})
    await monitor.compare()
    with pytest.raises(StateLost):
        monitor.verify()


async def test_a_service_that_starts_again_forgets_that_state_was_lost(service: ConsumerService) -> None:
    """It starts from the checkpoints that the database has."""
    monitor = CheckpointMonitor(service.transactions)
    monitor.start({PARTITION: 1})
    await monitor.compare()
    monitor.start({PARTITION: 0})
    monitor.verify()


def test_the_first_record_of_a_partition_may_be_processed(service: ConsumerService) -> None:
    """Nothing is known of the partition yet. Afterwards the record is known."""
    service.publish(1)
    (record,) = service.log.topics[IN]
    monitor = CheckpointMonitor(service.transactions)
    monitor.before(record)
    monitor.after(record)
    with pytest.raises(StateLost):
        monitor.before(record)


def test_an_offset_that_was_processed_is_lost_state(service: ConsumerService) -> None:
    """The topic was recreated and its offsets restarted."""
    service.publish(1, 2)
    first, second = service.log.topics[IN]
    monitor = CheckpointMonitor(service.transactions)
    monitor.start({PARTITION: 1})
    monitor.before(second)
    with pytest.raises(StateLost, match=r"d\.batches was recreated"):
        monitor.before(first)
