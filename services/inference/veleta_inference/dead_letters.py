"""Publishes dead letters in the background, so that no caller waits for Kafka."""

import asyncio
from functools import partial

from veleta.clock import Clock
from veleta.events.envelope import Message, Record
from veleta.ports import EventLog
from veleta.processing.dead_letters import DeadLetters, report_dead_letter
from veleta.service.health import ServiceHealth


class DeadLetterPublisher:
    """Publishes each dead letter in a task of its own. Call `drain` before the process exits."""

    def __init__(self, event_log: EventLog, dataset: str, health: ServiceHealth, clock: Clock) -> None:
        self._log = event_log
        self._dead_letters = DeadLetters(health.service, dataset, clock)
        self._health = health
        self._tasks: set[asyncio.Task[object]] = set()

    def send(self, error: Exception, reason: str, record: Record | Message) -> None:
        """Report that `record` cannot be processed, as soon as Kafka is available. Does not block."""
        message = self._dead_letters.message(reason, error, record)
        report_dead_letter(reason, error)
        publish = partial(asyncio.to_thread, self._log.publish, [message])
        task = asyncio.create_task(self._health.retry_until_available(publish))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until all are published. While the service stops, one is dropped if Kafka is down; the log has it."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
