"""Reading a batch by its manifest: the one way in which loader, drift and trainer see rows."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import orjson

from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, BatchRows
from veleta.events.envelope import Event, Record, decode
from veleta.ports import EventLog
from veleta.topics import TopicName, topic

Rows = list[dict[str, Any]]


class RowsDigest:
    """SHA-256 over rows in their order, each as JSON with sorted keys: the same rows give the same digest."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, rows: Rows) -> None:
        """Take in the next rows."""
        for row in rows:
            self._hash.update(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return self._hash.hexdigest()


class BatchReader:
    """Reads the rows that a manifest names, and nothing else."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def chunks(self, manifest: BatchClosed) -> Iterator[Rows]:
        """The batch's rows, chunk by chunk, in order.

        Whoever takes effect chunk by chunk must be ready to undo it: that a chunk is missing shows at the end.

        Raises:
            Reject: chunks cannot be decoded, or count or digest do not match the manifest.
            Retry: the broker is away.
        """
        digest, rows, chunks = RowsDigest(), 0, 0
        for chunk in self._payloads(manifest):
            if chunk.chunk != chunks or chunk.first_row != rows:
                raise Reject("the manifest does not match", f"chunk {chunk.chunk} where {chunks} was due")
            digest.add(chunk.rows)
            chunks += 1
            rows += len(chunk.rows)
            yield chunk.rows
        if (rows, chunks) != (manifest.rows, manifest.chunks):
            found = f"{rows} rows in {chunks} chunks"
            raise Reject("the manifest does not match", f"{found}, not {manifest.rows} in {manifest.chunks}")
        if digest.hexdigest() != manifest.digest:
            raise Reject("the manifest does not match", "the rows have another digest")

    def _payloads(self, manifest: BatchClosed) -> Iterator[BatchRows]:
        records = self._named(manifest)
        first = next(records, None)
        for record in chain([first], records) if first else self._searched(manifest):
            payload = decode(record).payload
            if isinstance(payload, BatchRows):
                yield payload

    def _named(self, manifest: BatchClosed) -> Iterator[Record]:
        """The batch's records where the manifest says that they lie."""
        for part in manifest.ranges:
            for record in self._log.read(topic(manifest.dataset, "rows"), part.partition, part.first, part.last):
                if record.key == manifest.batch:
                    yield record

    def _searched(self, manifest: BatchClosed) -> Iterator[Record]:
        """The batch's records wherever they lie, for a topic that was made anew: those of its last publication."""
        name = topic(manifest.dataset, "rows")
        for partition, (first, end) in self._log.bounds(name).items():
            places = [r.offset for r in self._log.read(name, partition, first, end - 1) if r.key == manifest.batch]
            for start in places[-manifest.chunks :][:1]:
                yield from (r for r in self._log.read(name, partition, start, end - 1) if r.key == manifest.batch)


def history(log: EventLog, dataset: str, name: TopicName = "batches") -> Iterator[Event]:
    """All that was ever said in one of a dataset's topics, in order; what cannot be read is left out."""
    full = topic(dataset, name)
    for partition, (first, end) in log.bounds(full).items():
        for record in log.read(full, partition, first, end - 1):
            try:
                yield decode(record)
            except Reject:
                continue


def manifests(events: Iterable[Event]) -> dict[tuple[int, int], Event]:
    """Every closed batch's manifest by (epoch, number), in the order of closing; the last one of a batch counts."""
    return {(p.epoch, p.number): e for e in events if isinstance(p := e.payload, BatchClosed)}
