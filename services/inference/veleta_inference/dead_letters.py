"""Dead letters of inference: stored in a journal at once, and published when Kafka is available."""

import asyncio
from collections.abc import Sequence
from functools import partial

import orjson

from veleta.clock import Clock
from veleta.errors import Reject
from veleta.events.envelope import Message, Record
from veleta.ports import EventLog
from veleta.processing.dead_letters import DeadLetters, report_dead_letter
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_inference.ports import JournalWriter, ReportedRecords

DeadLetter = tuple[Exception, str, Record | Message]
"""An error, its reason, and what cannot be processed."""


class DeadLetterOutbox:
    """Stores dead letters in a journal. A drain inserts them into the topic: `insert`."""

    dependency = "kafka"

    def __init__(
        self,
        event_log: EventLog,
        journal: JournalWriter,
        reported: ReportedRecords,
        dataset: str,
        health: ServiceHealth,
        clock: Clock,
    ) -> None:
        self.name = topic(dataset, "deadletter")
        self._log = event_log
        self._journal = journal
        self._reported = reported
        self._dead_letters = DeadLetters(health.service, dataset, clock)
        self._health = health
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def store(self, letters: Sequence[DeadLetter]) -> None:
        """Report what cannot be processed. Durable when it returns.

        Raises:
            Retry: the journal is full or cannot be written. Then it contains none of the letters.
        """
        lines = [_line(self._dead_letters.message(reason, error, record)) for error, reason, record in letters]
        async with self._lock:
            await self._journal.append(lines)
        for error, reason, _ in letters:
            report_dead_letter(reason, error)

    def send(self, error: Exception, reason: str, record: Record) -> None:
        """Report a record of a topic in the background, unless it was reported: each start reads the last ones again.

        Two workers that read it at the same time both report it.
        """
        if record not in self._reported:
            task = asyncio.create_task(self._send((error, reason, record), record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, letter: DeadLetter, record: Record) -> None:
        await self._health.retry_until_available(partial(self.store, [letter]))
        self._reported.add(record)

    async def insert(self, lines: Sequence[bytes]) -> None:
        """Publish dead letters from the journal. See `Sink.insert`."""
        await asyncio.to_thread(self._log.publish, [_message(line) for line in lines])

    async def drain(self) -> None:
        """Wait until all that were sent are stored, or cannot be while the service stops."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _line(message: Message) -> bytes:
    headers = [[name, value.decode()] for name, value in message.headers]
    return orjson.dumps([message.topic, message.key, headers, message.value.decode()])


def _message(line: bytes) -> Message:
    try:
        topic_, key, headers, value = orjson.loads(line)
    except ValueError as error:
        raise Reject("not a dead letter", str(error)) from error
    return Message(topic_, key, tuple((name, text.encode()) for name, text in headers), value.encode())
