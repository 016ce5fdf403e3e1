"""Encodes events as Kafka records: CloudEvents in binary mode. Metadata are headers, the value is plain JSON.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import orjson
from pydantic import ValidationError

from veleta.errors import Reject, one_line
from veleta.events.catalogue import PAYLOADS, DatasetPayload, Payload

Headers = tuple[tuple[str, bytes], ...]
MAX_HEADER_LENGTH = 255
"""Characters of a header of an event, such as its id."""


@dataclass(frozen=True)
class Record:
    """A record in a topic. `offset` counts from 0 in each partition."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Headers
    value: bytes


@dataclass(frozen=True)
class Message:
    """A record that is to be published."""

    topic: str
    key: str
    headers: Headers
    value: bytes


@dataclass(frozen=True)
class Event:
    """Something that happened. `id` is derived from it, never random; `cause` is the id of the event that caused it.

    `trace` is a W3C traceparent: the same for all events that one batch causes.
    """

    id: str
    source: str
    time: datetime
    payload: Payload
    cause: str | None = None
    trace: str = ""

    @property
    def type(self) -> str:
        """The event's type, as `batch.closed`."""
        return self.payload.TYPE


def caused_event(cause: Event, event_id: str, source: str, time: datetime, payload: Payload) -> Event:
    """An event that `cause` caused: it has the cause's id and trace."""
    return Event(event_id, source, time, payload, cause=cause.id, trace=cause.trace)


def trace_of(start: str) -> str:
    """A W3C traceparent that is derived from the id of the first event of the trace."""
    digest = sha256(start.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def encode(topic: str, event: Event) -> Message:
    """The message for `topic` that contains `event`. The payload gives the key."""
    headers = {
        "ce_id": event.id,
        "ce_type": event.type,
        "ce_source": f"veleta/{event.source}",
        "ce_specversion": "1.0",
        "ce_time": event.time.isoformat(),
        "ce_dataschema": f"{event.type}/{event.payload.VERSION}",
        "content-type": "application/json",
    }
    if event.cause:
        headers["ce_causationid"] = event.cause
    if event.trace:
        headers["traceparent"] = event.trace
    value = orjson.dumps(event.payload.model_dump())
    return Message(topic, event.payload.key, tuple((k, v.encode()) for k, v in headers.items()), value)


def decode(record: Record) -> Event:
    """The event in a record.

    Raises:
        Reject: a header is missing or too long, the schema is unknown, the value does not match it, or the event
            belongs into the topics of another dataset.
    """
    headers = header_texts(record)
    if UNREADABLE in headers:
        raise Reject("the record cannot be read", one_line(headers[UNREADABLE]))
    if long := [name for name in _METADATA if len(headers.get(name, "")) > MAX_HEADER_LENGTH]:
        raise Reject("a header is too long", long[0])
    try:
        schema = headers["ce_dataschema"]
        time = datetime.fromisoformat(headers["ce_time"]).astimezone(UTC)
        event_id, source = headers["ce_id"], headers["ce_source"]
    except KeyError as error:
        raise Reject("a header is missing", str(error)) from error
    except (ValueError, OverflowError) as error:
        raise Reject("ce_time is not a time", str(error)) from error
    payload = _payload(schema, record.value)
    dataset, separator, _ = record.topic.rpartition(".")
    if separator and isinstance(payload, DatasetPayload) and payload.dataset != dataset:
        raise Reject("an event of another dataset", payload.dataset)
    return Event(
        id=event_id,
        source=source.removeprefix("veleta/"),
        time=time,
        payload=payload,
        cause=headers.get("ce_causationid"),
        trace=headers.get("traceparent", ""),
    )


UNREADABLE = "veleta_unreadable"
"""The header of a record that an adapter could not read: the reason. It has nothing else."""
_METADATA = ("ce_id", "ce_type", "ce_source", "ce_time", "ce_dataschema", "ce_causationid", "traceparent")
"""The headers that are read. Their texts get into tables, logs and further events."""
ADDRESSEE = "ce_to"
"""The header of a resent record: the service that handles it."""


def is_for(service: str, record: Record) -> bool:
    """Whether a service handles a record. A resent record is for one service, any other for all."""
    return header_texts(record).get(ADDRESSEE, service) == service


def header_texts(record: Record) -> Mapping[str, str]:
    """The headers of a record as text. Bytes that are not UTF-8 are escaped."""
    return {k: v.decode(errors="backslashreplace") for k, v in record.headers}


def _payload(schema: str, value: bytes) -> Payload:
    kind = PAYLOADS.get(schema)
    if kind is None:
        raise Reject("unknown schema", schema)
    try:
        return kind.model_validate(orjson.loads(value))
    except orjson.JSONDecodeError as error:
        raise Reject("the value is not JSON", str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise Reject(f"the value does not match {schema}", one_line(detail)) from error
