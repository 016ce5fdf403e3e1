"""Dead letters: events that describe a record that could not be processed."""

import prometheus_client
import structlog

from veleta.clock import Clock
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import Event, Message, Record, encode
from veleta.topics import topic

log = structlog.get_logger()
DEAD_LETTERS = prometheus_client.Counter("veleta_dead_letters", "records that could not be processed", ["reason"])

MAX_CONSECUTIVE = 3
"""After this many consecutive dead letters for one unexpected error the fault is in the service: it stops. Records
that are rejected do not count, or somebody who may write to a topic could stop its readers."""
MAX_VALUE_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, MAX_KEY_LENGTH = 1024 * 1024, 1024, 50, 255
"""Bounds of what a dead letter copies. An escaped byte takes up to six, and each letter must fit its topic and the
outbox. The topic still holds the whole record."""


class DeadLetters:
    """Builds the dead letters of one service."""

    def __init__(self, service: str, dataset: str, clock: Clock) -> None:
        self._service = service
        self._topic = topic(dataset, "deadletter")
        self._clock = clock

    def message(self, reason: str, error: Exception, record: Record | Message) -> Message:
        """The message that reports `record` as unprocessable. A `Message` is not in any topic yet."""
        partition, offset = (record.partition, record.offset) if isinstance(record, Record) else (None, None)
        event_id = dict(record.headers).get("ce_id", record.key.encode()).decode(errors="backslashreplace")
        source = f"{record.topic}/{event_id if offset is None else f'{partition}/{offset}'}"
        payload = RecordDeadlettered(
            service=self._service,
            reason=reason,
            error=str(error)[:MAX_HEADER_BYTES],
            topic=record.topic,
            partition=partition,
            offset=offset,
            first_key=record.key[:MAX_KEY_LENGTH],
            headers={
                name[:MAX_KEY_LENGTH]: value[:MAX_HEADER_BYTES].decode(errors="backslashreplace")
                for name, value in record.headers[:MAX_HEADERS]
            },
            value=record.value[:MAX_VALUE_BYTES].decode(errors="backslashreplace"),
        )
        return encode(self._topic, Event(f"{source}/dead/{self._service}", self._service, self._clock(), payload))


def report_dead_letter(reason: str, error: Exception) -> None:
    """Count and log a dead letter."""
    DEAD_LETTERS.labels(reason).inc()
    log.error("dead letter", reason=reason, error=str(error))


class ConsecutiveDeadLetters:
    """Counts the dead letters since the last record that was processed. Another reason restarts the count."""

    def __init__(self) -> None:
        self._reason = ""
        self._count = 0

    def add(self, reason: str) -> None:
        """Count one more."""
        self._count = self._count + 1 if reason == self._reason else 1
        self._reason = reason

    def reset(self) -> None:
        """A record was processed."""
        self._count = 0

    def limit_reached(self, reason: str) -> bool:
        """Whether the last MAX_CONSECUTIVE dead letters all had this reason."""
        return reason == self._reason and self._count >= MAX_CONSECUTIVE
