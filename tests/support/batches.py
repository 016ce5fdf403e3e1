"""Publishes batches as the poller does, for tests of its consumers."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from veleta.batches import RowsDigest
from veleta.dataset import Dataset
from veleta.events.catalogue import BatchClosed, BatchOpened, BatchPayload, BatchRows, OffsetRange
from veleta.events.envelope import Event, encode, trace_of
from veleta.ports import EventLog
from veleta.topics import TopicName, topic

ROWS_PER_CHUNK = 100
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def send(log: EventLog, dataset: Dataset, name: TopicName, payload: BatchPayload, suffix: str) -> tuple[int, int]:
    """Publish one event of a batch. Returns (partition, offset)."""
    event = Event(f"{payload.batch}/{suffix}", "poller", TIME, payload, trace=trace_of(payload.batch))
    return log.publish([encode(topic(dataset.name, name), event)])[0]


def publish_batch(
    log: EventLog, dataset: Dataset, epoch: int, number: int, rows: Sequence[dict[str, Any]], **manifest: Any
) -> BatchClosed:
    """Publish a batch. `manifest` replaces fields of batch.closed, for a manifest that does not match."""
    batch = {"dataset": dataset.name, "epoch": epoch, "number": number}
    digest = RowsDigest()
    digest.add(list(rows))
    send(log, dataset, "batches", BatchOpened(**batch, rows=len(rows), digest=digest.hexdigest()), "opened")
    starts = range(0, len(rows), ROWS_PER_CHUNK)
    positions = [
        send(
            log,
            dataset,
            "rows",
            BatchRows(**batch, chunk=i, first_row=start, rows=list(rows[start : start + ROWS_PER_CHUNK])),
            f"rows/{i}",
        )
        for i, start in enumerate(starts)
    ]
    closed = BatchClosed(
        **batch,
        **{
            "rows": len(rows),
            "chunks": len(starts),
            "digest": digest.hexdigest(),
            "dataset_digest": dataset.digest,
            "ranges": [OffsetRange(partition=positions[0][0], first=positions[0][1], last=positions[-1][1])],
            **manifest,
        },
    )
    send(log, dataset, "batches", closed, "closed")
    return closed


def batch_manifests(events: Iterable[Event]) -> dict[tuple[int, int], Event]:
    """The manifest of every closed batch by (epoch, number), in the order of closing; the last one of a batch wins."""
    return {(p.epoch, p.number): e for e in events if isinstance(p := e.payload, BatchClosed)}
