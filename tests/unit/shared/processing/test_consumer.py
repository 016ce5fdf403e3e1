"""The consumer loop: where it starts, when it stops, and how it survives outages, crashes and lost state."""

import asyncio

import pytest

from support.consumer_service import DEAD, IN, OUT, PARTITION, ConsumerService, Killed
from veleta.errors import Retry
from veleta.faults import fault_point
from veleta.processing.dead_letters import MAX_CONSECUTIVE
from veleta.processing.processor import MAX_ATTEMPTS

FAULT_POINTS = (
    "processor.prepared",
    "processor.applied",
    "processor.committed",
    "outbox.published",
    "consumer.processed",
)
COMMITTED = FAULT_POINTS[2:]


@pytest.mark.failure("F35")
async def test_the_loop_stops_consuming_after_consecutive_dead_letters(service: ConsumerService) -> None:
    """/readyz shows the reason, no further record is processed, and the process stays up."""
    numbers = list(range(1, MAX_CONSECUTIVE + 3))
    service.publish(*numbers)
    service.handler.prepare_errors = {number: [KeyError("x")] * MAX_ATTEMPTS for number in numbers}
    await service.consume_all()
    assert service.health.unavailable == {"loader": "3 consecutive dead letters for one reason: KeyError"}
    assert (len(service.dead_letters()), await service.checkpoint()) == (MAX_CONSECUTIVE, MAX_CONSECUTIVE)


@pytest.mark.failure("F91")
async def test_a_restart_resumes_at_the_record_that_stopped_the_loop(service: ConsumerService) -> None:
    """Once the fault is repaired, no record is lost."""
    numbers = list(range(1, MAX_CONSECUTIVE + 2))
    service.publish(*numbers)
    service.handler.prepare_errors = {number: [KeyError("x")] * MAX_ATTEMPTS for number in numbers}
    await service.consume_all()
    service.handler.prepare_errors = {}
    service.restart()
    await service.consume_all()
    assert service.handler.applied == [MAX_CONSECUTIVE + 1]


async def test_the_loop_starts_from_its_own_checkpoints(service: ConsumerService) -> None:
    """Kafka's offsets only show the lag: they are committed, and never read."""
    service.publish(1, 2)
    await service.consume_all()
    service.publish(3)
    service.log.committed["loader", IN, 0] = 0
    service.restart()
    await service.consume_all()
    assert service.log.start_offsets == [{}, {PARTITION: 2}]
    assert service.handler.applied == [1, 2, 3]
    assert service.log.committed["loader", IN, 0] == 3


@pytest.mark.failure("F23")
@pytest.mark.parametrize("method", ["subscribe", "poll", "commit"])
async def test_the_loop_survives_an_outage_of_kafka(service: ConsumerService, method: str) -> None:
    """It shows that Kafka is unavailable, subscribes again from its checkpoints, and each event takes effect once."""
    service.publish(1, 2)
    service.log.errors = {method: [Retry("kafka", "gone"), Retry("kafka", "gone")]}
    await service.consume_all()
    assert {"kafka": "kafka: gone"} in service.health.sleeps
    assert (service.handler.applied, service.published(), service.health.unavailable) == ([1, 2], ["1", "2"], {})


@pytest.mark.failure("F25")
async def test_the_loop_stops_between_two_records(service: ConsumerService) -> None:
    """The current record is completed, the next one is left for the next start."""
    service.publish(1, 2, 3)
    service.handler.on_applied = service.health.stopping.set
    await service.consume_all()
    assert (service.handler.applied, service.published(), await service.checkpoint()) == ([1], ["1"], 1)


@pytest.mark.failure("F39")
async def test_a_topic_that_was_recreated_is_consumed_from_its_beginning(service: ConsumerService) -> None:
    """A checkpoint beyond the end belongs to the old topic: new records must not be skipped as processed."""
    service.publish(1, 2, 3)
    await service.consume_all()
    service.log.topics.clear()
    service.restart()
    service.publish(4)
    await service.consume_all()
    assert (service.handler.applied, await service.checkpoint()) == ([1, 2, 3, 4], 1)


@pytest.mark.failure("F97")
async def test_a_topic_that_is_recreated_while_it_is_consumed_is_consumed_from_its_beginning(
    service: ConsumerService,
) -> None:
    """Its offsets restart below those that were processed."""
    service.publish(0, 1)
    loop = asyncio.get_running_loop()
    polls: list[int] = []

    def idle() -> None:
        polls.append(1)
        if len(polls) == 1:
            service.log.topics[IN].clear()
            service.publish(7)
            service.log.rewind()
        if 7 in service.handler.applied:
            loop.call_soon_threadsafe(service.health.stopping.set)

    service.log.on_idle = idle
    await service.consume()
    assert service.handler.applied == [0, 1, 7]


@pytest.mark.failure("F311", "F313")
async def test_a_deleted_topic_is_shown_and_read_from_its_beginning_when_it_exists_again(
    service: ConsumerService,
) -> None:
    """No record of the new topic is skipped: the checkpoint belongs to the deleted one."""
    service.publish(0, 1, 2)
    loop = asyncio.get_running_loop()
    polls: list[int] = []

    def idle() -> None:
        polls.append(1)
        if len(polls) == 1:
            service.log.delete_topic(IN)
            loop.call_soon_threadsafe(loop.call_later, 0.1, recreate)
        if 7 in service.handler.applied:
            loop.call_soon_threadsafe(service.health.stopping.set)

    def recreate() -> None:
        service.log.create_topic(IN)
        service.publish(7)

    service.log.on_idle = idle
    await service.consume()
    assert service.handler.applied == [0, 1, 2, 7]
    shown = {reason for unavailable in service.health.sleeps for reason in unavailable.values()}
    assert f"kafka: {IN} does not exist; make start creates it again" in shown
    assert service.health.unavailable == {}


@pytest.mark.failure("F311")
@pytest.mark.parametrize("name", [OUT, DEAD])
async def test_a_topic_that_a_consumer_only_writes_is_checked_too(service: ConsumerService, name: str) -> None:
    """/readyz shows that it does not exist, before anything is to be published."""
    service.log.delete_topic(name)
    consuming = asyncio.create_task(service.consume())
    async with asyncio.timeout(5):
        while "kafka" not in service.health.unavailable:  # noqa: ASYNC110 - the product has no event to wait for
            await asyncio.sleep(0.001)
    assert name in service.health.unavailable["kafka"]
    service.health.stopping.set()
    await consuming


@pytest.mark.failure("F09")
async def test_a_database_that_is_wiped_while_records_arrive_is_filled_from_the_beginning(
    service: ConsumerService,
) -> None:
    """The checkpoints are gone: no record is skipped."""
    service.publish(0, 1, 2)

    def wipe() -> None:
        if service.handler.applied == [0, 1]:
            loop.call_soon_threadsafe(service.wipe)

    loop = asyncio.get_running_loop()
    service.handler.on_applied = wipe
    service.log.on_idle = lambda: loop.call_soon_threadsafe(service.health.stopping.set)
    await service.consume()
    assert service.handler.applied == [0, 1, 0, 1, 2]


@pytest.mark.failure("F96")
async def test_a_wiped_database_is_noticed_although_no_record_arrives(
    service: ConsumerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoints are compared with what this process processed."""
    monkeypatch.setattr("veleta.service.health.PAUSE_SECONDS", 0.0)
    service.publish(0, 1)
    loop = asyncio.get_running_loop()
    polls: list[int] = []

    def idle() -> None:
        polls.append(1)
        if len(polls) == 1:
            loop.call_soon_threadsafe(service.wipe)
        if len(service.handler.applied) == 4:
            loop.call_soon_threadsafe(service.health.stopping.set)

    service.log.on_idle = idle
    await service.consume()
    assert service.handler.applied == [0, 1, 0, 1]


@pytest.mark.parametrize("name", FAULT_POINTS)
async def test_a_kill_at_any_fault_point_loses_nothing(service: ConsumerService, name: str) -> None:
    """The next start completes the record: one effect, its event published at least once, the checkpoint moved."""
    service.publish(0, 1)
    killed: list[str] = []

    def kill(passed: str) -> None:
        if passed == name and not killed:
            killed.append(passed)
            raise Killed

    fault_point.install(kill)
    try:
        with pytest.raises(BaseExceptionGroup) as caught:
            await service.consume_all()
    finally:
        fault_point.install(None)
    assert caught.group_contains(Killed)
    assert await service.checkpoint() == int(name in COMMITTED)
    service.restart()
    await service.consume_all()
    assert await service.checkpoint() == 2
    assert sorted(set(service.published())) == ["0", "1"]
    assert service.transactions.committed.outbox.oldest() == []
