"""Sends dead letters without making anybody wait for the broker."""

import asyncio
from functools import partial

from veleta.clock import Clock
from veleta.events.envelope import Message, Record
from veleta.ports import EventLog
from veleta.processing.dead_letters import DeadLetters, report_dead_letter
from veleta.service.health import ServiceHealth


class DeadLetterPublisher:
    """Dead letters on their way; `drain` before the process ends."""

    def __init__(self, event_log: EventLog, dataset: str, health: ServiceHealth, clock: Clock) -> None:
        self._log = event_log
        self._dead_letters = DeadLetters(health.service, dataset, clock)
        self._health = health
        self._sending: set[asyncio.Task[object]] = set()

    def send(self, error: Exception, reason: str, record: Record | Message) -> None:
        """Publish, as soon as the broker takes it, that `record` could not be processed. Does not block."""
        message = self._dead_letters.message(reason, error, record)
        report_dead_letter(reason, error)
        publish = partial(asyncio.to_thread, self._log.publish, [message])
        sending = asyncio.create_task(self._health.retry_until_available(publish))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def drain(self) -> None:
        """Wait for those under way; one that finds the broker away is given up (it stands in the log)."""
        await asyncio.gather(*self._sending, return_exceptions=True)
