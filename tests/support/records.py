"""Events, records and batches for tests, on any event log."""

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
    """The smallest event there is."""
    payload = BatchMissed(dataset=dataset, epoch=1, number=number, reason="test")
    return event(f"{payload.batch}/missed", payload)


def message(name: str, key: str = "k", value: bytes = b"{}", headers: Sequence[tuple[str, bytes]] = ()) -> Message:
    """Any message: what it holds need be no event."""
    return Message(name, key, tuple(headers), value)


def record_of(sent: Message, offset: int = 0) -> Record:
    """The record that a message becomes."""
    return Record(sent.topic, 0, offset, sent.key, sent.headers, sent.value)


def chunk_messages(dataset: str, epoch: int, number: int, chunks: Sequence[Rows]) -> list[Message]:
    """The messages of a batch's rows, chunk by chunk."""
    messages, first_row = [], 0
    for count, rows in enumerate(chunks):
        payload = BatchRows(dataset=dataset, epoch=epoch, number=number, chunk=count, first_row=first_row, rows=rows)
        messages.append(encode(topic(dataset, "rows"), event(f"{payload.batch}/rows/{count}", payload)))
        first_row += len(rows)
    return messages


def publish_chunks(log: EventLog, dataset: str, epoch: int, number: int, chunks: Sequence[Rows]) -> BatchClosed:
    """Publish a batch's rows; the manifest of them, which is not published."""
    places = log.publish(chunk_messages(dataset, epoch, number, chunks))
    digest = RowsDigest()
    for rows in chunks:
        digest.add(rows)
    offsets = [offset for _, offset in places]
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
