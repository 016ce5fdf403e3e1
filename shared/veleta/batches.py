"""Reading a batch by its manifest: the one way in which loader, drift and trainer see rows."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson

from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed, BatchRows, OffsetRange
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
        records = self._at(manifest, manifest.ranges)
        first = next(records, None)
        for record in chain([first], records) if first else self._at(manifest, self._searched(manifest)):
            payload = decode(record).payload
            if isinstance(payload, BatchRows):
                yield payload

    def _at(self, manifest: BatchClosed, ranges: Sequence[OffsetRange]) -> Iterator[Record]:
        """The batch's records in these ranges."""
        for part in ranges:
            for record in self._log.read(topic(manifest.dataset, "rows"), part.partition, part.first, part.last):
                if record.key == manifest.batch:
                    yield record

    def _searched(self, manifest: BatchClosed) -> list[OffsetRange]:
        """Where the batch's last publication lies in a topic that was made anew; nowhere, if it is gone."""
        records = read_topic(self._log, topic(manifest.dataset, "rows"))
        places = [(r.partition, r.offset) for r in records if r.key == manifest.batch][-manifest.chunks :]
        return [OffsetRange(partition=places[0][0], first=places[0][1], last=places[-1][1])] if places else []


def read_topic(log: EventLog, name: str) -> Iterator[Record]:
    """All records of a topic, given by its full name, in the order of each partition."""
    for partition, (first, end) in log.bounds(name).items():
        yield from log.read(name, partition, first, end - 1)


def read_events(log: EventLog, dataset: str, name: TopicName = "batches") -> Iterator[Event]:
    """All that was ever said in one of a dataset's topics, in order; what cannot be read is left out."""
    for record in read_topic(log, topic(dataset, name)):
        try:
            yield decode(record)
        except Reject:
            continue


def batch_manifests(events: Iterable[Event]) -> dict[tuple[int, int], Event]:
    """Every closed batch's manifest by (epoch, number), in the order of closing; the last one of a batch counts."""
    return {(p.epoch, p.number): e for e in events if isinstance(p := e.payload, BatchClosed)}
