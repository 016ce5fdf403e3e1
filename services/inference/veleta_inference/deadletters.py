"""Sends dead letters without making anybody wait for the broker."""

import asyncio
from functools import partial

import structlog

from veleta.clock import Clock
from veleta.events.envelope import Message, Record, encode
from veleta.life import Life
from veleta.loop import DEAD, dead_letter
from veleta.ports import EventLog
from veleta.topics import topic

log = structlog.get_logger()


class DeadLetters:
    """Dead letters on their way; `drain` before the process ends."""

    def __init__(self, event_log: EventLog, dataset: str, life: Life, clock: Clock) -> None:
        self._log = event_log
        self._topic = topic(dataset, "deadletter")
        self._life = life
        self._clock = clock
        self._sending: set[asyncio.Task[object]] = set()

    def send(self, error: Exception, reason: str, record: Record | Message) -> None:
        """Publish, as soon as the broker takes it, that `record` could not be processed. Does not block."""
        letter = encode(self._topic, dead_letter(self._life.service, self._clock, reason, error, record))
        DEAD.labels(reason).inc()
        log.error("dead letter", reason=reason, error=str(error), key=record.key)
        publish = partial(asyncio.to_thread, self._log.publish, [letter])
        sending = asyncio.create_task(self._life.patiently(publish))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def drain(self) -> None:
        """Wait for those under way; one that finds the broker away is given up (it stands in the log)."""
        await asyncio.gather(*self._sending, return_exceptions=True)
