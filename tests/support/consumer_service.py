"""A service that consumes one topic. Its in-memory parts raise errors where a test requests it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.records import NOON, message, missed
from support.twins.shared import MemoryCheckpoints, MemoryLog, MemoryOutbox, MemoryUnitOfWork, StrictTransactions
from veleta.events.catalogue import BatchMissed, Payload, RecordDeadlettered, TrainingSkipped
from veleta.events.envelope import Event, Message, Record, decode, encode
from veleta.ports import Subscription, UnitOfWork
from veleta.processing.consumer import Consumer
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth
from veleta.topics import topic

IN, OUT, DEAD = topic("d", "batches"), "d.out", topic("d", "deadletter")
PARTITION = (IN, 0)


class Killed(BaseException):
    """The process was killed: no code catches it."""


class FakeHealth(ServiceHealth):
    """Does not sleep. `sleeps` has what was unavailable at each sleep."""

    def __init__(self) -> None:
        super().__init__("loader")
        self.sleeps: list[dict[str, str]] = []
        self.on_stop_consuming: Callable[[], object] = lambda: None

    def stop_consuming(self, reason: str) -> None:
        super().stop_consuming(reason)
        self.on_stop_consuming()

    async def wait(self, seconds: float) -> bool:
        self.sleeps.append(self.unavailable)
        await asyncio.sleep(0)
        return not self.stopping.is_set()


@dataclass
class Handler:
    """Handles batch.missed, and appends a message with the batch number to the outbox.

    `prepare_errors` and `apply_errors` are the errors to raise, in order, by batch number.
    """

    event_types: tuple[type[Payload], ...] = (BatchMissed,)
    prepared: list[int] = field(default_factory=list)
    applied: list[int] = field(default_factory=list)
    dead_lettered: list[tuple[int, str]] = field(default_factory=list)
    prepare_errors: dict[int, list[Exception]] = field(default_factory=dict)
    apply_errors: dict[int, list[Exception]] = field(default_factory=dict)
    on_applied: Callable[[], object] = lambda: None

    async def prepare(self, event: Event) -> Any:
        number = _number(event)
        self.prepared.append(number)
        if errors := self.prepare_errors.get(number):
            raise errors.pop(0)
        return number * 10

    def apply(self, event: Event, prepared: Any, uow: UnitOfWork) -> None:
        number = _number(event)
        assert prepared == number * 10
        uow.outbox.append(message(OUT, value=str(number).encode()))
        if errors := self.apply_errors.get(number):
            raise errors.pop(0)
        self.applied.append(number)
        self.on_applied()

    def on_dead_letter(self, event: Event, error: Exception, uow: UnitOfWork) -> None:
        uow.outbox.append(message(OUT, value=f"refused {_number(event)}".encode()))
        self.dead_lettered.append((_number(event), str(error)))


class FailingOutbox(MemoryOutbox):
    """Raises the next of `errors` before it deletes published messages. Copies share the errors."""

    def __init__(self, errors: list[BaseException]) -> None:
        super().__init__()
        self._errors = errors

    def __deepcopy__(self, memo: dict[int, Any]) -> "FailingOutbox":
        copied = FailingOutbox(self._errors)
        copied._messages, copied._last_id = dict(self._messages), self._last_id
        return copied

    def delete(self, ids: Sequence[int]) -> None:
        if self._errors:
            raise self._errors.pop(0)
        super().delete(ids)


class FailingUnitOfWork(MemoryUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.delete_errors: list[BaseException] = []
        self.outbox = FailingOutbox(self.delete_errors)


class FailingLog(MemoryLog):
    """Raises the next of `errors` (by method) before it publishes, subscribes, polls or commits.

    `on_idle` is called whenever a poll returns nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, list[BaseException]] = {}
        self.start_offsets: list[dict[tuple[str, int], int]] = []
        self.subscriptions: list[FailingSubscription] = []
        self.on_idle: Callable[[], object] = lambda: None

    def raise_next(self, method: str) -> None:
        if errors := self.errors.get(method):
            raise errors.pop(0)

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        self.raise_next("publish")
        return super().publish(messages)

    def subscribe(self, topics: Sequence[str], group: str | None = None, offsets: Any = None) -> Subscription:
        self.raise_next("subscribe")
        self.start_offsets.append(dict(offsets or {}))
        self.subscriptions.append(FailingSubscription(self, super().subscribe(topics, group, offsets)))
        return self.subscriptions[-1]

    def rewind(self) -> None:
        """Let the reader continue at the beginning, as Kafka does when its offset no longer exists."""
        self.subscriptions[-1].inner = super().subscribe([IN])


class FailingSubscription:
    def __init__(self, log: FailingLog, inner: Subscription) -> None:
        self._log = log
        self.inner = inner
        self.close = inner.close

    def poll(self, timeout: float) -> list[Record]:
        self._log.raise_next("poll")
        if not (records := self.inner.poll(timeout)):
            self._log.on_idle()
        return records

    def commit(self, offsets: Any) -> None:
        self._log.raise_next("commit")
        self.inner.commit(offsets)


class ConsumerService:
    """The service. After `restart` only the event log, the database and the handler are the same, as after a crash."""

    def __init__(self) -> None:
        self.log = FailingLog()
        self.transactions = StrictTransactions(FailingUnitOfWork())
        self.handler = Handler()
        self.restart()

    def restart(self) -> None:
        self.health = FakeHealth()
        self.health.mark_started()
        self.publisher = OutboxPublisher(self.log, self.transactions)
        self.processor = RecordProcessor(
            self.handler, self.transactions, self.publisher, self.health, lambda: NOON, "d"
        )

    def publish(self, *numbers: int) -> None:
        """Publish batch.missed for each number."""
        self.log.publish([encode(IN, missed("d", number)) for number in numbers])

    def publish_unhandled(self, event_id: str = "t") -> None:
        """Publish an event of a type that the handler does not handle."""
        self.log.publish([encode(IN, Event(event_id, "trainer", NOON, TrainingSkipped(request_id="r", reason="x")))])

    def wipe(self) -> None:
        """Delete the checkpoints, as in a database that was recreated."""
        self.transactions.committed.checkpoints = MemoryCheckpoints()

    async def process_all(self) -> None:
        """Process each record of the topic."""
        for record in list(self.log.topics[IN]):
            await self.processor.process(record)

    async def consume_all(self) -> None:
        """Consume until no record is left or the service stops consuming; then stop as after SIGTERM."""
        loop = asyncio.get_running_loop()
        self.log.on_idle = self.health.on_stop_consuming = lambda: loop.call_soon_threadsafe(self.health.stopping.set)
        await self.consume()

    async def consume(self) -> None:
        """Consume until the test sets `health.stopping`."""
        consumer = Consumer(
            topics=[IN],
            used_topics=[IN, OUT, DEAD],
            group="loader",
            event_log=self.log,
            transactions=self.transactions,
            checks=self.transactions,
            publisher=self.publisher,
            processor=self.processor,
            health=self.health,
        )
        await asyncio.wait_for(consumer.run(), 10)

    async def checkpoint(self) -> int:
        return await self.transactions.run(lambda uow: uow.checkpoints.load(*PARTITION))

    def published(self) -> list[str]:
        """The values of the events that the handler published."""
        return [record.value.decode() for record in self.log.topics.get(OUT, [])]

    def dead_letters(self) -> list[RecordDeadlettered]:
        payloads = [decode(record).payload for record in self.log.topics.get(DEAD, [])]
        return [payload for payload in payloads if isinstance(payload, RecordDeadlettered)]


def _number(event: Event) -> int:
    assert isinstance(event.payload, BatchMissed)
    return event.payload.number
