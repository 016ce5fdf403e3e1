"""How stored events are published."""

import pytest

from support.consumer_service import IN, ConsumerService, Killed
from veleta.errors import Retry


async def test_events_stay_in_the_outbox_until_kafka_is_reachable(service: ConsumerService) -> None:
    """The effect is committed. Its events are published in order, before the next record is processed."""
    service.publish(1)
    service.log.errors = {"publish": [Retry("kafka", "gone")] * 3}
    await service.process_all()
    assert service.health.sleeps == [{"kafka": "kafka: gone"}] * 3
    service.publish(2)
    await service.processor.process(service.log.topics[IN][1])
    assert (service.handler.applied, service.published()) == ([1, 2], ["1", "2"])


@pytest.mark.failure("F33")
async def test_events_are_published_after_a_crash_between_commit_and_publication(service: ConsumerService) -> None:
    """The next start publishes the outbox before the first record; the event does not take effect again."""
    service.publish(1, 2)
    service.log.errors = {"publish": [Killed()]}
    with pytest.raises(Killed):
        await service.process_all()
    assert (service.handler.applied, service.published(), await service.checkpoint()) == ([1], [], 1)
    service.restart()
    await service.consume_all()
    assert (service.handler.applied, service.published()) == ([1, 2], ["1", "2"])


async def test_events_are_published_twice_after_a_crash_between_publication_and_deletion(
    service: ConsumerService,
) -> None:
    """At least once, in order, with the same id; the effect is not repeated."""
    service.publish(1, 2)
    service.transactions.committed.delete_errors.append(Killed())
    with pytest.raises(Killed):
        await service.process_all()
    service.restart()
    await service.consume_all()
    assert (service.handler.applied, service.published()) == ([1, 2], ["1", "1", "2"])
