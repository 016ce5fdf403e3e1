"""Events, records and batches for tests."""

from collections.abc import Sequence
from datetime import UTC, datetime

from veleta.batches import Rows, RowsDigest
from veleta.events.catalogue import BatchClosed, BatchMissed, BatchRows, OffsetRange, Payload
from veleta.events.envelope import Event, Message, Record, encode
from veleta.ports import EventLog
from veleta.topics import topic

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(event_id: str, payload: Payload) -> Event:
    """An event of the poller, at noon."""
    return Event(event_id, "poller", NOON, payload)


def missed(dataset: str, number: int) -> Event:
    """A batch.missed, the smallest event."""
    payload = BatchMissed(dataset=dataset, epoch=1, number=number, reason="test")
    return event(f"{payload.batch}/missed", payload)


def message(name: str, key: str = "k", value: bytes = b"{}", headers: Sequence[tuple[str, bytes]] = ()) -> Message:
    """Any message. Its value need not be an event."""
    return Message(name, key, tuple(headers), value)


def record_of(message: Message, offset: int = 0) -> Record:
    """The record of a published message."""
    return Record(message.topic, 0, offset, message.key, message.headers, message.value)


def chunk_messages(dataset: str, epoch: int, number: int, chunks: Sequence[Rows]) -> list[Message]:
    """The messages of a batch, one per chunk."""
    messages, first_row = [], 0
    for count, rows in enumerate(chunks):
        payload = BatchRows(dataset=dataset, epoch=epoch, number=number, chunk=count, first_row=first_row, rows=rows)
        messages.append(encode(topic(dataset, "rows"), event(f"{payload.batch}/rows/{count}", payload)))
        first_row += len(rows)
    return messages


def publish_chunks(log: EventLog, dataset: str, epoch: int, number: int, chunks: Sequence[Rows]) -> BatchClosed:
    """Publish the rows of a batch. Returns their manifest, which is not published."""
    positions = log.publish(chunk_messages(dataset, epoch, number, chunks))
    digest = RowsDigest()
    for rows in chunks:
        digest.add(rows)
    offsets = [offset for _, offset in positions]
    return BatchClosed(
        dataset=dataset,
        epoch=epoch,
        number=number,
        rows=sum(map(len, chunks)),
        chunks=len(chunks),
        digest=digest.hexdigest(),
        dataset_digest="d",
        ranges=[OffsetRange(partition=0, first=min(offsets), last=max(offsets))],
    )
