"""The one consumer loop: what happens to a record, from decoding to the commit.

    decode ─► prepare (reads, computes) ─► one transaction: effect, mark, outbox ─► publish ─► commit
       │            │                                  │
       └────────────┴── Reject ────────────────────────┴──► dead letter, and on to the next

Loader and trainer run `consume`; drift awaits `Intake.process` from its Faust agent.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from operator import methodcaller
from typing import Any, Protocol

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.errors import Lost, Reject, Retry, Stop
from veleta.events.catalogue import Payload, RecordDeadlettered
from veleta.events.envelope import Event, Message, Record, decode, encode, header_texts, is_for
from veleta.faults import fault_point
from veleta.life import Life, watch
from veleta.ports import EventLog, Ledger, Marks, Subscription, Work
from veleta.topics import topic

log = structlog.get_logger()
HANDLED = prometheus_client.Counter("veleta_events_handled", "events that took effect", ["type"])
DEAD = prometheus_client.Counter("veleta_dead_letters", "records that could not be processed", ["reason"])

ATTEMPTS = 3
"""How often an error that nobody foresaw is tried before the record is dead-lettered."""
DEAD_IN_A_ROW = 3
"""So many dead letters in a row for one reason: the fault is not in the records, and the service stops taking."""
POLL_SECONDS = 0.5
HALTED_SECONDS = 30.0
"""How often a halted service shows that it lives."""
LETTER_BYTES, LETTER_HEADER_BYTES, LETTER_HEADERS, LETTER_KEY = 1024 * 1024, 1024, 50, 255
"""What a dead letter keeps of a record, each byte of which may need six, and of its key (characters): every letter
must fit its topic and the outbox. A record that lies in a topic is there whole."""


class Handler(Protocol):
    """What a service does with an event. It knows nothing of Kafka, marks, retries or dead letters."""

    @property
    def takes(self) -> tuple[type[Payload], ...]:
        """The events it handles; the others pass by."""
        ...

    def prepare(self, event: Event) -> Any:
        """Read and compute, outside the transaction and in a thread. May be called again for the same event."""
        ...

    def apply(self, event: Event, prepared: Any, work: Work) -> None:
        """Take effect within the transaction. An event that took effect before must change nothing."""
        ...

    def refuse(self, event: Event, error: Exception, work: Work) -> None:
        """Note within a transaction that the event was dead-lettered."""
        ...


class Relay:
    """Publishes the outbox. Events leave in the order in which they were written, at least once."""

    def __init__(self, log: EventLog, ledger: Ledger) -> None:
        self._log = log
        self._ledger = ledger
        self._turn = asyncio.Lock()

    async def flush(self) -> None:
        """Publish all that waits. Raises Retry."""
        async with self._turn:
            while waiting := await self._ledger.outbox():
                await asyncio.to_thread(self._log.publish, [message for _, message in waiting])
                fault_point("loop.published")
                await self._ledger.sent([number for number, _ in waiting])


class Intake:
    """What happens to one record, whoever consumes it."""

    def __init__(self, handler: Handler, ledger: Ledger, relay: Relay, life: Life, clock: Clock, dataset: str) -> None:
        self._handler = handler
        self._ledger = ledger
        self._relay = relay
        self._life = life
        self._clock = clock
        self._deadletters = topic(dataset, "deadletter")
        self._dead: list[str] = []

    async def process(self, record: Record) -> None:
        """Bring one record to its end: it took effect, passed by, or is a dead letter, and its events are published.

        Returns only when that is true: what is away is waited for.

        Raises:
            Stop: too many dead letters in a row for one reason; this record is untouched.
            Lost: the mark lies before this record; it is untouched, and those since the mark are due again.
            asyncio.CancelledError: the service is stopping; the record will be taken again.
        """
        with structlog.contextvars.bound_contextvars(**_names(record)):
            await self._life.patiently(partial(self._settle_or_bury, record))
            await self._life.patiently(self._relay.flush)

    async def _settle_or_bury(self, record: Record) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._settle(record)
            except (Retry, Stop, Lost):
                raise
            except Reject as error:
                return await self._bury(record, error, error.reason)
            except Exception as error:
                log.exception("failed", attempt=attempt)
                if attempt == ATTEMPTS:
                    return await self._bury(record, error, type(error).__name__)
                await self._life.pause(0.1 * attempt)
        return None

    async def _settle(self, record: Record) -> None:
        event = self._wanted(record)
        if not await self._ledger.run(partial(_due, record)):
            return
        prepared = await asyncio.to_thread(self._handler.prepare, event) if event else None
        fault_point("loop.prepared")

        def transaction(work: Work) -> None:
            if not _due(record, work):
                return
            if event:
                self._handler.apply(event, prepared, work)
            work.advance(record.topic, record.partition, record.offset + 1)
            fault_point("loop.applied")

        await self._ledger.run(transaction)
        fault_point("loop.kept")
        if event:
            self._dead.clear()
            HANDLED.labels(event.type).inc()
            log.info("handled", type=event.type)

    async def _bury(self, record: Record, error: Exception, reason: str) -> None:
        if self._dead.count(reason) >= DEAD_IN_A_ROW:
            raise Stop(f"{DEAD_IN_A_ROW} dead letters in a row for one reason: {reason}")
        letter = encode(self._deadletters, dead_letter(self._life.service, self._clock, reason, error, record))

        try:
            await self._ledger.run(partial(self._settle_dead, record, letter, error))
        except (Retry, Stop, Lost):
            raise
        except Exception:
            log.exception("cannot note the dead letter")
            await self._ledger.run(partial(self._settle_dead, record, letter, None))
        self._dead = [*(r for r in self._dead if r == reason), reason]
        DEAD.labels(reason).inc()
        log.error("dead letter", reason=reason, error=str(error))

    def _settle_dead(self, record: Record, letter: Message, error: Exception | None, work: Work) -> None:
        """Send the letter and pass the record by; with the error, let the handler note it too."""
        if not _due(record, work):
            return
        event = None
        with contextlib.suppress(Reject):
            event = self._wanted(record)
        if error and event:
            self._handler.refuse(event, error, work)
        work.send(letter)
        work.advance(record.topic, record.partition, record.offset + 1)

    def _wanted(self, record: Record) -> Event | None:
        """The event of a record, if it is one of those that the handler takes. Raises Reject."""
        event = decode(record) if is_for(self._life.service, record) else None
        return event if event and isinstance(event.payload, self._handler.takes) else None


def dead_letter(service: str, clock: Clock, reason: str, error: Exception, record: Record | Message) -> Event:
    """The event that says what could not be processed, where it lies (if it lies in a topic), and why."""
    partition, offset = (record.partition, record.offset) if isinstance(record, Record) else (None, None)
    name = dict(record.headers).get("ce_id", record.key.encode()).decode(errors="backslashreplace")
    place = f"{record.topic}/{partition}/{offset}" if isinstance(record, Record) else f"{record.topic}/{name}"
    payload = RecordDeadlettered(
        service=service,
        reason=reason,
        error=str(error)[:LETTER_HEADER_BYTES],
        topic=record.topic,
        partition=partition,
        offset=offset,
        first_key=record.key[:LETTER_KEY],
        headers={
            k: v[:LETTER_HEADER_BYTES].decode(errors="backslashreplace") for k, v in record.headers[:LETTER_HEADERS]
        },
        value=record.value[:LETTER_BYTES].decode(errors="backslashreplace"),
    )
    return Event(f"{place}/dead/{service}", service, clock(), payload)


async def consume(
    topics: Sequence[str],
    group: str,
    log_port: EventLog,
    ledger: Ledger,
    relay: Relay,
    intake: Intake,
    life: Life,
) -> None:
    """Follow topics from this service's own marks on until the service stops.

    Kafka's committed offsets only show the lag: after a crash the marks, kept with the effects, say where to go on,
    and when they are lost (a database that was wiped or restored) all records since are taken again.
    """
    progress = _Progress(ledger)
    async with asyncio.TaskGroup() as watching:
        watching.create_task(watch("kafka", partial(asyncio.to_thread, log_port.bounds, topics[0]), life))
        watching.create_task(watch("mysql", progress.compare, life))
        while not life.stopping.is_set():
            await life.patiently(relay.flush)
            marks = await life.patiently(partial(sound_marks, topics, log_port, ledger))
            progress.begin(marks)
            subscription = await life.patiently(partial(asyncio.to_thread, log_port.subscribe, topics, group, marks))
            try:
                await _follow(subscription, intake, progress, life)
            except Lost as error:
                log.error("begins again", reason=str(error))  # noqa: TRY400 - no fault of ours
            except Retry as away:
                life.lacks(away.what, str(away))
                await life.pause(1.0)
            finally:
                await asyncio.to_thread(subscription.close)


async def take(intake: Intake, record: Record, life: Life) -> bool:
    """Bring a record to its end; when the service must take no more, hold it until the service stops.

    False: the service is stopping, and the record will be taken again. Raises Lost.
    """
    try:
        await intake.process(record)
    except Lost:
        raise
    except Exception as error:  # noqa: BLE001 - Stop and the unforeseen alike: nothing may pass this record by
        life.halt(str(error))
        while await life.pause(HALTED_SECONDS):
            pass
        return False
    return True


async def sound_marks(topics: Sequence[str], log_port: EventLog, ledger: Ledger) -> Marks:
    """This service's marks. One beyond the end belongs to a topic that was made anew since: it begins again.

    One before the beginning belongs to records that somebody deleted: it goes on behind them. Raises Retry.
    """
    marks = dict(await ledger.marks())
    for name in topics:
        for partition, (first, end) in (await asyncio.to_thread(log_port.bounds, name)).items():
            mark = marks.get((name, partition), 0)
            if first <= mark <= end:
                continue
            what = "the topic was made anew" if mark > end else "records are gone"
            log.error(what, topic=name, mark=mark, first=first, end=end)
            await ledger.run(methodcaller("advance", name, partition, first))
            marks[name, partition] = first
    return marks


class _Progress:
    """How far this process came by itself: a database that was wiped, and a topic that was made anew, know less."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reached: dict[tuple[str, int], int] = {}
        self._lost = False

    def begin(self, marks: Marks) -> None:
        """From these marks on."""
        self._reached = dict(marks)
        self._lost = False

    async def compare(self) -> None:
        """Ask the database whether it still knows. Raises Retry."""
        reached = dict(self._reached)
        marks = await self._ledger.marks()
        self._lost = any(marks.get(place, 0) < offset for place, offset in reached.items())

    def check(self) -> None:
        """Raises Lost when the last comparison found too little."""
        if self._lost:
            raise Lost("the database has lost marks")

    def take(self, record: Record) -> None:
        """The next record. Raises Lost when it lies before those that were taken."""
        place = record.topic, record.partition
        if record.offset < self._reached.get(place, 0):
            raise Lost(f"{record.topic} was made anew")

    def took(self, record: Record) -> None:
        """It is done with."""
        self._reached[record.topic, record.partition] = record.offset + 1


async def _follow(subscription: Subscription, intake: Intake, progress: _Progress, life: Life) -> None:
    life.busy("waiting for events")
    while not life.stopping.is_set():
        records = await asyncio.to_thread(subscription.poll, POLL_SECONDS)
        life.started()
        life.beat()
        progress.check()
        for record in records:
            life.busy(f"handling {record.topic} {record.offset}")
            if life.stopping.is_set():
                return
            progress.take(record)
            if not await take(intake, record, life):
                return
            progress.took(record)
            fault_point("loop.taken")
            life.busy("waiting for events")
            await asyncio.to_thread(subscription.commit, {(record.topic, record.partition): record.offset + 1})


def _due(record: Record, work: Work) -> bool:
    """Whether this record has not been brought to its end before. Raises Lost when one before it has not, either."""
    mark = work.mark(record.topic, record.partition)
    if mark < record.offset:
        raise Lost(f"the mark in {record.topic} is {mark}, and {record.offset} came")
    return mark == record.offset


def _names(record: Record) -> dict[str, str]:
    headers = header_texts(record)
    return {"event_id": headers.get("ce_id", "?"), "trace_id": headers.get("traceparent", "?")[3:35]}
