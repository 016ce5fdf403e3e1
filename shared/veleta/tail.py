"""The one tail reader: topics from their beginning on, for processes that keep in memory what they read."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from veleta.errors import Retry
from veleta.events.envelope import Record
from veleta.life import Life
from veleta.ports import EventLog, Subscription

POLL_SECONDS = 0.5
AGAIN_SECONDS = 1.0
"""How soon it asks again after the broker went away."""
Take = Callable[[Sequence[Record]], None]
"""Takes the records that arrived together, in their order. It must neither block nor raise."""


async def tail(topics: Sequence[str], log: EventLog, life: Life, take: Take) -> None:
    """Give each record of the topics to `take` once, until the service stops.

    There is no consumer group: every process reads everything. When the broker was away, it goes on where it was.
    """
    marks: dict[tuple[str, int], int] = {}
    while not life.stopping.is_set():
        subscription = await life.patiently(partial(asyncio.to_thread, log.subscribe, topics, None, dict(marks)))
        try:
            await _follow(subscription, marks, life, take)
        except Retry as away:
            life.lacks(away.what, str(away))
            await life.pause(AGAIN_SECONDS)
        finally:
            await asyncio.to_thread(subscription.close)


async def _follow(subscription: Subscription, marks: dict[tuple[str, int], int], life: Life, take: Take) -> None:
    while not life.stopping.is_set():
        records = await asyncio.to_thread(subscription.poll, POLL_SECONDS)
        life.beat()
        if records:
            take(records)
        for record in records:
            marks[record.topic, record.partition] = record.offset + 1
