"""The consumer loop: reads topics from the service's checkpoints and processes record after record."""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from veleta.errors import Retry, StateLost
from veleta.faults import fault_point
from veleta.ports import EventLog, Subscription, Transactions, U
from veleta.processing.checkpoints import CheckpointMonitor, validated_checkpoints
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.threads import call_in_thread

log = structlog.get_logger()
POLL_SECONDS = 0.5
RECONNECT_SECONDS = 1.0
"""The pause before a new subscription after Kafka became unreachable."""


async def consume(
    topics: Sequence[str],
    group: str,
    event_log: EventLog,
    transactions: Transactions[U],
    publisher: OutboxPublisher,
    processor: RecordProcessor[U],
    health: ServiceHealth,
    checks: Transactions[U],
    used_topics: Sequence[str],
) -> None:
    """Consume topics from this service's checkpoints until the service stops.

    If checkpoints are lost (a database that was wiped or restored), all records since are processed again. `checks`
    check MySQL for /readyz, on a connection and with a time-out of their own. `used_topics` are all topics that the
    service reads or writes: /readyz shows one that does not exist.
    """
    monitor = CheckpointMonitor(checks)
    check_kafka = partial(call_in_thread, partial(event_log.check, used_topics))
    async with asyncio.TaskGroup() as watchers:
        watchers.create_task(watch_dependency("kafka", check_kafka, health))
        watchers.create_task(watch_dependency("mysql", monitor.compare, health))
        await health.supervise(
            "consumer", _consume(topics, group, event_log, transactions, publisher, processor, monitor, health)
        )


async def _consume(
    topics: Sequence[str],
    group: str,
    event_log: EventLog,
    transactions: Transactions[U],
    publisher: OutboxPublisher,
    processor: RecordProcessor[U],
    monitor: CheckpointMonitor,
    health: ServiceHealth,
) -> None:
    while not health.stopping.is_set():
        await health.retry_until_available(publisher.publish_pending)
        load = partial(validated_checkpoints, topics, event_log, transactions)
        checkpoints = await health.retry_until_available(load)
        monitor.start(checkpoints)
        subscribe = partial(asyncio.to_thread, event_log.subscribe, topics, group, checkpoints)
        subscription = await health.retry_until_available(subscribe)
        try:
            await _process_records(subscription, processor, monitor, health)
        except StateLost as error:
            log.error("restarting from the checkpoints", reason=str(error))  # noqa: TRY400 - expected after a restore
        except Retry as error:
            health.set_unavailable(error.dependency, str(error))
            await health.sleep(RECONNECT_SECONDS)
        finally:
            await asyncio.to_thread(subscription.close)


async def _process_records(
    subscription: Subscription, processor: RecordProcessor[U], monitor: CheckpointMonitor, health: ServiceHealth
) -> None:
    health.set_activity("waiting for events")
    while not health.stopping.is_set():
        records = await asyncio.to_thread(subscription.poll, POLL_SECONDS)
        health.mark_started()
        health.heartbeat()
        monitor.verify()
        for record in records:
            if health.stopping.is_set():
                return
            health.set_activity(f"handling {record.topic} {record.offset}")
            monitor.before(record)
            if not await processor.process_or_stop_consuming(record):
                return
            monitor.after(record)
            fault_point("consumer.processed")
            health.set_activity("waiting for events")
            offsets = {(record.topic, record.partition): record.offset + 1}
            await asyncio.to_thread(subscription.commit, offsets)
