"""Processes one record: decode, prepare, one transaction, publish."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, Protocol

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.errors import Reject, Retry, StateLost, Stop
from veleta.events.catalogue import Payload
from veleta.events.envelope import MAX_HEADER_LENGTH, Event, Message, Record, decode, header_texts, is_for
from veleta.faults import fault_point
from veleta.ports import Transactions, U, U_contra
from veleta.processing.checkpoints import is_due
from veleta.processing.dead_letters import MAX_CONSECUTIVE, ConsecutiveDeadLetters, DeadLetters, report_dead_letter
from veleta.processing.outbox import OutboxPublisher
from veleta.service.health import ServiceHealth

log = structlog.get_logger()
EVENTS_HANDLED = prometheus_client.Counter("veleta_events_handled", "events that took effect", ["type"])

MAX_ATTEMPTS = 3
"""Attempts at a record that fails with an unexpected error, before it is dead-lettered."""
STOPPED_HEARTBEAT_SECONDS = 30.0
"""The pause between two heartbeats of a service that stopped consuming."""


class Handler(Protocol[U_contra]):
    """What a service does with an event. It knows nothing of Kafka, checkpoints, retries or dead letters."""

    @property
    def event_types(self) -> tuple[type[Payload], ...]:
        """The events that it handles. Others are skipped."""

    async def prepare(self, event: Event) -> Any:
        """Read and compute, outside the transaction. It must not block. May be called again for the same event."""

    def apply(self, event: Event, prepared: Any, uow: U_contra) -> None:
        """Take effect within the transaction. An event that took effect before must change nothing."""

    def on_dead_letter(self, event: Event, error: Exception, uow: U_contra) -> None:
        """Record within a transaction that the event was dead-lettered."""


class RecordProcessor(Generic[U]):
    """Processes the records of one service, one at a time."""

    def __init__(
        self,
        handler: Handler[U],
        transactions: Transactions[U],
        publisher: OutboxPublisher,
        health: ServiceHealth,
        clock: Clock,
        dataset: str,
        after_record: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`after_record` is called when a record has been processed. It may raise Retry."""
        self._after_record = after_record
        self._handler = handler
        self._transactions = transactions
        self._publisher = publisher
        self._health = health
        self._dead_letters = DeadLetters(health.service, dataset, clock)
        self._consecutive = ConsecutiveDeadLetters()

    async def process(self, record: Record) -> None:
        """Process one record until it took effect, was skipped or was dead-lettered, and its events are published.

        Waits for dependencies that are unavailable.

        Raises:
            Stop: too many consecutive records failed with one unexpected error; this record is not processed.
            StateLost: the checkpoint lies before this record, which is not processed.
            asyncio.CancelledError: the service is stopping; the record will be consumed again.
        """
        with structlog.contextvars.bound_contextvars(**_log_context(record)):
            await self._health.retry_until_available(partial(self._handle_or_dead_letter, record))
            await self._health.retry_until_available(self._publisher.publish_pending)
            if self._after_record:
                await self._health.retry_until_available(self._after_record)

    async def process_or_stop_consuming(self, record: Record) -> bool:
        """Process one record. On an unrecoverable error stop consuming, and wait here until the service stops.

        Returns False if the service is stopping; the record will be consumed again. Raises StateLost.
        """
        try:
            await self.process(record)
        except StateLost:
            raise
        except Exception as error:  # noqa: BLE001 - neither Stop nor an unexpected error may skip this record
            self._health.stop_consuming(str(error))
            while await self._health.sleep(STOPPED_HEARTBEAT_SECONDS):
                pass
            return False
        return True

    async def _handle_or_dead_letter(self, record: Record) -> None:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return await self._handle(record)
            except (Retry, Stop, StateLost):
                raise
            except Reject as error:
                return await self._dead_letter(record, error, error.reason)
            except Exception as error:
                log.exception("handling failed", attempt=attempt)
                if attempt == MAX_ATTEMPTS:
                    reason = type(error).__name__
                    if self._consecutive.limit_reached(reason):
                        raise Stop(f"{MAX_CONSECUTIVE} consecutive dead letters for one reason: {reason}") from error
                    await self._dead_letter(record, error, reason)
                    return self._consecutive.add(reason)
                await self._health.sleep(0.1 * attempt)
        return None

    async def _handle(self, record: Record) -> None:
        event = self._handled_event(record)
        if not await self._transactions.run(partial(is_due, record)):
            return
        prepared = await self._handler.prepare(event) if event else None
        fault_point("processor.prepared")

        def transaction(uow: U) -> None:
            if not is_due(record, uow):
                return
            if event:
                self._handler.apply(event, prepared, uow)
            uow.checkpoints.save(record.topic, record.partition, record.offset + 1)
            fault_point("processor.applied")

        await self._transactions.run(transaction)
        fault_point("processor.committed")
        if event:
            self._consecutive.reset()
            EVENTS_HANDLED.labels(event.type).inc()
            log.info("handled", type=event.type)

    async def _dead_letter(self, record: Record, error: Exception, reason: str) -> None:
        message = self._dead_letters.message(reason, error, record)
        try:
            await self._transactions.run(partial(self._store_dead_letter, record, message, error))
        except (Retry, Stop, StateLost):
            raise
        except Exception:
            log.exception("the handler cannot record the dead letter")
            await self._transactions.run(partial(self._store_dead_letter, record, message, None))
        report_dead_letter(reason, error)

    def _store_dead_letter(self, record: Record, message: Message, error: Exception | None, uow: U) -> None:
        """Store the dead letter and skip the record; with an error, let the handler record it too."""
        if not is_due(record, uow):
            return
        event = None
        with contextlib.suppress(Reject):
            event = self._handled_event(record)
        if error and event:
            self._handler.on_dead_letter(event, error, uow)
        uow.outbox.append(message)
        uow.checkpoints.save(record.topic, record.partition, record.offset + 1)

    def _handled_event(self, record: Record) -> Event | None:
        """The event of a record, or None if the handler does not handle it. Raises Reject."""
        event = decode(record) if is_for(self._health.service, record) else None
        return event if event and isinstance(event.payload, self._handler.event_types) else None


def _log_context(record: Record) -> dict[str, str]:
    headers = header_texts(record)
    event_id = headers.get("ce_id", "?")[:MAX_HEADER_LENGTH]
    return {"event_id": event_id, "trace_id": headers.get("traceparent", "")[3:35]}
