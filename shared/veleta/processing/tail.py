"""Follows topics from their beginning without a consumer group, for state that a process holds in memory."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from veleta.errors import Retry
from veleta.events.envelope import Record
from veleta.ports import Checkpoints, EventLog, Subscription
from veleta.service.health import ServiceHealth

POLL_SECONDS = 0.5
RECONNECT_SECONDS = 1.0
"""The pause before a new subscription after Kafka became unreachable."""
RecordsCallback = Callable[[Sequence[Record]], None]
"""Gets the records that arrived together, in order. It must neither block nor raise."""


async def tail(
    topics: Sequence[str],
    event_log: EventLog,
    health: ServiceHealth,
    on_records: RecordsCallback,
    start: Checkpoints | None = None,
) -> None:
    """Pass each record of the topics to `on_records` once, until the service stops.

    Every process reads all records, of a partition in `start` those from that offset on. After an outage of Kafka it
    resumes at the next record.
    """
    offsets = dict(start or {})
    while not health.stopping.is_set():
        subscribe = partial(asyncio.to_thread, event_log.subscribe, topics, None, dict(offsets))
        subscription = await health.retry_until_available(subscribe)
        try:
            await _read(subscription, offsets, health, on_records)
        except Retry as error:
            health.set_unavailable(error.dependency, str(error))
            await health.sleep(RECONNECT_SECONDS)
        finally:
            await asyncio.to_thread(subscription.close)


async def _read(
    subscription: Subscription,
    offsets: dict[tuple[str, int], int],
    health: ServiceHealth,
    on_records: RecordsCallback,
) -> None:
    while not health.stopping.is_set():
        records = await asyncio.to_thread(subscription.poll, POLL_SECONDS)
        health.heartbeat()
        if records:
            on_records(records)
        for record in records:
            offsets[record.topic, record.partition] = record.offset + 1
