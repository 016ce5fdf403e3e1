"""Reads batches from the topics. BatchReader is how loader, drift and trainer get the rows of a batch."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson

from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, BatchRows, OffsetRange
from veleta.events.envelope import Event, Record, decode
from veleta.ports import EventLog
from veleta.topics import TopicName, topic

Rows = list[dict[str, Any]]
MAX_BATCHES = 1_000
"""The most batches that a training learns from, and the most whose holdout it adds: so data and events are bounded."""
ROWS_DELETED = "its rows were deleted by retention"


class RowsDeleted(Reject):
    """Retention deleted the rows of a batch. They are not lost: somebody limited what is kept."""

    def __init__(self, batch: str) -> None:
        super().__init__(ROWS_DELETED, batch)


class RowsDigest:
    """SHA-256 over rows in their order, each as JSON with sorted keys: the same rows give the same digest."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, rows: Rows) -> None:
        """Add the next rows."""
        for row in rows:
            self._hash.update(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return self._hash.hexdigest()


class ManifestCheck:
    """Compares what was read of a batch with its manifest."""

    def __init__(self, manifest: BatchClosed) -> None:
        self._manifest = manifest
        self._rows = self._chunks = 0

    def add(self, chunk: int, first_row: int, rows: int) -> None:
        """Add the next chunk, with so many rows. Raises Reject: it is another one than the next."""
        if (chunk, first_row) != (self._chunks, self._rows):
            raise self._mismatch(f"chunk {chunk} instead of chunk {self._chunks}")
        self._chunks += 1
        self._rows += rows

    def finish(self, digest: str) -> None:
        """Compare the numbers and the digest of all rows. Raises Reject."""
        if (self._rows, self._chunks) != (self._manifest.rows, self._manifest.chunks):
            size = f"{self._rows} rows in {self._chunks} chunks"
            raise self._mismatch(f"{size}, not {self._manifest.rows} in {self._manifest.chunks}")
        if digest != self._manifest.digest:
            raise self._mismatch("the rows have another digest")

    def _mismatch(self, detail: str) -> Reject:
        return Reject("the manifest does not match", detail)


class BatchReader:
    """Reads exactly the rows of one manifest, and checks them against it."""

    def __init__(self, event_log: EventLog, on_chunk: Callable[[], None] = lambda: None) -> None:
        """`on_chunk` is called for each chunk that was read: a sign of progress."""
        self._event_log = event_log
        self._on_chunk = on_chunk
        self._places: dict[str, _Places] = {}

    def chunks(self, manifest: BatchClosed) -> Iterator[Rows]:
        """The rows of a batch, chunk by chunk, in order.

        A mismatch may be found only at the end, so the caller must be able to undo the effect of earlier chunks.

        Raises:
            RowsDeleted: retention deleted the rows.
            Reject: a chunk cannot be decoded, or the count or the digest does not match the manifest.
            Retry: Kafka is unreachable.
        """
        digest, check = RowsDigest(), ManifestCheck(manifest)
        try:
            for chunk in self._payloads(manifest):
                check.add(chunk.chunk, chunk.first_row, len(chunk.rows))
                digest.add(chunk.rows)
                self._on_chunk()
                yield chunk.rows
            check.finish(digest.hexdigest())
        except Reject:
            # Also a batch that is deleted while it is read.
            if self.deleted(manifest.dataset, [manifest]):
                raise RowsDeleted(manifest.batch) from None
            raise

    def located(self, manifest: BatchClosed) -> Sequence[OffsetRange]:
        """Where the chunks of a batch are: as its manifest has it, or elsewhere in a topic that was recreated.

        Raises:
            RowsDeleted: retention deleted the rows.
            Retry: Kafka is unreachable.
        """
        first = next(self._records(manifest, manifest.ranges), None)
        return manifest.ranges if first else self._elsewhere(manifest)

    def deleted(self, dataset: str, manifests: Iterable[BatchClosed]) -> set[str]:
        """The ids of those batches whose rows retention deleted, by one request. Raises Retry.

        Their topic begins after them. Only retention deletes records, and it deletes the oldest.
        """
        bounds = self._event_log.bounds(topic(dataset, "rows"))
        return {
            manifest.batch
            for manifest in manifests
            if any(part.last < bounds.get(part.partition, (0, 0))[0] for part in manifest.ranges)
        }

    def _payloads(self, manifest: BatchClosed) -> Iterator[BatchRows]:
        records = self._records(manifest, manifest.ranges)
        first = next(records, None)
        for record in chain([first], records) if first else self._records(manifest, self._elsewhere(manifest)):
            payload = decode(record).payload
            if isinstance(payload, BatchRows):
                yield payload

    def _records(self, manifest: BatchClosed, ranges: Sequence[OffsetRange]) -> Iterator[Record]:
        """The records of the batch in these ranges."""
        for part in ranges:
            for record in self._event_log.read(topic(manifest.dataset, "rows"), part.partition, part.first, part.last):
                if record.key == manifest.batch:
                    yield record

    def _elsewhere(self, manifest: BatchClosed) -> Sequence[OffsetRange]:
        """Where a batch is that is not at its manifest's offsets."""
        if self.deleted(manifest.dataset, [manifest]):
            raise RowsDeleted(manifest.batch)
        return self._search(manifest)

    def _search(self, manifest: BatchClosed) -> list[OffsetRange]:
        """The range of the batch's last publication in a topic that was recreated. Empty if the batch is not in it."""
        name = topic(manifest.dataset, "rows")
        place = self._places.setdefault(name, _Places(self._event_log, name)).of(manifest.batch)
        if place is None:
            return []
        offsets = deque((record.offset for record in self._records(manifest, [place])), maxlen=manifest.chunks)
        return [OffsetRange(partition=place.partition, first=offsets[0], last=offsets[-1])] if offsets else []


class _Places:
    """The place of each batch in a topic that was recreated. It is read once, and later only what it got since."""

    def __init__(self, event_log: EventLog, name: str) -> None:
        self._event_log = event_log
        self._name = name
        self._next_offsets: dict[int, int] = {}
        self._places: dict[str, tuple[int, int, int]] = {}

    def of(self, batch: str) -> OffsetRange | None:
        """From the first to the last record of a batch, in the partition of the last one."""
        for partition, (first, end) in self._event_log.bounds(self._name).items():
            start = self._next_offsets.get(partition, first)
            if start > end:  # recreated again
                self._places.clear()
                start = first
            for record in self._event_log.read(self._name, partition, start, end - 1):
                before = self._places.get(record.key)
                began = before[1] if before and before[0] == partition else record.offset
                self._places[record.key] = partition, began, record.offset
            self._next_offsets[partition] = end
        if found := self._places.get(batch):
            return OffsetRange(partition=found[0], first=found[1], last=found[2])
        return None


def read_topic(event_log: EventLog, name: str) -> Iterator[Record]:
    """All records of a topic, given by its full name, in the order of each partition."""
    for partition, (first, end) in event_log.bounds(name).items():
        yield from event_log.read(name, partition, first, end - 1)


def read_events(event_log: EventLog, dataset: str, name: TopicName = "batches") -> Iterator[Event]:
    """All events of one of a dataset's topics, in order. Records that cannot be decoded are skipped."""
    return decoded(read_topic(event_log, topic(dataset, name)))


def decoded(records: Iterable[Record]) -> Iterator[Event]:
    """The events in records. Records that cannot be decoded are skipped."""
    for record in records:
        try:
            yield decode(record)
        except Reject:
            continue


def newest_of_each_number(batches: Iterable[BatchClosed]) -> list[BatchClosed]:
    """The batch of the newest epoch for each number: the newest MAX_BATCHES, the oldest first."""
    newest = {batch.number: batch for batch in sorted(batches, key=_place)}
    return sorted(newest.values(), key=_place)[-MAX_BATCHES:]


def _place(batch: BatchClosed) -> tuple[int, int]:
    return batch.epoch, batch.number
