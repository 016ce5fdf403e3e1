"""The consumer loop: reads topics from the service's checkpoints and processes record after record."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic

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


@dataclass(frozen=True)
class Consumer(Generic[U]):
    """Consumes topics from the checkpoints of a service."""

    topics: Sequence[str]
    used_topics: Sequence[str]
    """All topics that the service reads or writes: /readyz shows one that does not exist."""
    group: str
    event_log: EventLog
    transactions: Transactions[U]
    checks: Transactions[U]
    """They check MySQL for /readyz, on a connection and with a time-out of their own."""
    publisher: OutboxPublisher
    processor: RecordProcessor[U]
    health: ServiceHealth

    async def run(self) -> None:
        """Process records until the service stops.

        If checkpoints are lost (a database that was wiped or restored), all records since are processed again.
        """
        monitor = CheckpointMonitor(self.checks)
        check_kafka = partial(call_in_thread, partial(self.event_log.check, self.used_topics))
        async with asyncio.TaskGroup() as watchers:
            watchers.create_task(watch_dependency("kafka", check_kafka, self.health))
            watchers.create_task(watch_dependency("mysql", monitor.compare, self.health))
            await self.health.supervise("consumer", self._consume(monitor))

    async def _consume(self, monitor: CheckpointMonitor) -> None:
        health = self.health
        while not health.stopping.is_set():
            await health.retry_until_available(self.publisher.publish_pending)
            load = partial(validated_checkpoints, self.topics, self.event_log, self.transactions)
            checkpoints = await health.retry_until_available(load)
            monitor.start(checkpoints)
            subscribe = partial(asyncio.to_thread, self.event_log.subscribe, self.topics, self.group, checkpoints)
            subscription = await health.retry_until_available(subscribe)
            try:
                await self._process_records(subscription, monitor)
            except StateLost as error:
                log.error("restarting from the checkpoints", reason=str(error))  # noqa: TRY400 - expected after a restore
            except Retry as error:
                health.set_unavailable(error.dependency, str(error))
                await health.sleep(RECONNECT_SECONDS)
            finally:
                await asyncio.to_thread(subscription.close)

    async def _process_records(self, subscription: Subscription, monitor: CheckpointMonitor) -> None:
        health = self.health
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
                if not await self.processor.process_or_stop_consuming(record):
                    return
                monitor.after(record)
                fault_point("consumer.processed")
                health.set_activity("waiting for events")
                offsets = {(record.topic, record.partition): record.offset + 1}
                await asyncio.to_thread(subscription.commit, offsets)
