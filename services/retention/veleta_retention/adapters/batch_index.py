"""The batches whose rows are in the topic `rows`, from their manifests."""

from collections.abc import Mapping

from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import Record, decode
from veleta.ports import EventLog
from veleta.topics import topic
from veleta_retention.domain.kept_rows import BatchKey, ClosedBatch

WINDOW = 1_000
"""Records that are read at once from the end of `batches` at the first reading."""


class BatchIndex:
    """Reads each manifest once, and at first none that is older than the rows that exist."""

    def __init__(self, event_log: EventLog, dataset: str) -> None:
        self._event_log = event_log
        self._batches, self._rows = topic(dataset, "batches"), topic(dataset, "rows")
        self._next: dict[int, int] = {}
        self._closed: dict[BatchKey, ClosedBatch] = {}

    def refresh(self) -> Mapping[BatchKey, ClosedBatch]:
        """The batches with rows, with those that were closed since the last call. Raises Retry."""
        for partition, (first, end) in self._event_log.bounds(self._batches).items():
            start = self._next.get(partition)
            if start is None or start > end:  # the first call, or the topic was recreated
                start = self._oldest_with_rows(partition, first, end)
            for record in self._event_log.read(self._batches, partition, start, end - 1):
                self._add(record)
            self._next[partition] = end
        return self._closed

    def forget_before(self, oldest: BatchKey) -> None:
        """Forget the batches whose rows are deleted."""
        self._closed = {key: batch for key, batch in self._closed.items() if key >= oldest}

    def _add(self, record: Record) -> None:
        if (manifest := _manifest(record)) and manifest[0].ranges:
            closed, batch = manifest
            self._closed[closed.epoch, closed.number] = batch

    def _oldest_with_rows(self, partition: int, first: int, end: int) -> int:
        """The offset in `batches` before which all manifests are of deleted rows."""
        begins = {part: start for part, (start, _) in self._event_log.bounds(self._rows).items()}
        start = end
        while start > first:
            window = max(first, start - WINDOW)
            for record in self._event_log.read(self._batches, partition, window, start - 1):
                if (found := _manifest(record)) and _deleted(found[1], begins):
                    return window
            start = window
        return first


def _manifest(record: Record) -> tuple[BatchClosed, ClosedBatch] | None:
    try:
        event = decode(record)
    except Reject:
        return None
    if not isinstance(event.payload, BatchClosed):
        return None
    first_rows: dict[int, int] = {}
    for part in event.payload.ranges:
        first_rows[part.partition] = min(part.first, first_rows.get(part.partition, part.first))
    return event.payload, ClosedBatch(record.offset, event.time, first_rows)


def _deleted(batch: ClosedBatch, begins: Mapping[int, int]) -> bool:
    return any(offset < begins.get(partition, 0) for partition, offset in batch.first_rows.items())
