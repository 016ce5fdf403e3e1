"""The events that the poller publishes. Their ids are derived, so publishing a batch again gives the same ids."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from veleta.batches import Rows
from veleta.dataset import Dataset
from veleta.events.catalogue import (
    BatchClosed,
    BatchMissed,
    BatchOpened,
    BatchPayload,
    BatchRefused,
    BatchRows,
    DatasetDeclared,
    OffsetRange,
)
from veleta.events.envelope import Event, caused_event, trace_of
from veleta_poller.domain.responses import Batch
from veleta_poller.domain.sequence import BatchId, Placement

SERVICE = "poller"
CHUNK_ROWS = 500
CHUNK_BYTES = 512 * 1024
"""The JSON of a chunk's rows. A single row may be larger."""


def split_into_chunks(rows: Rows) -> Iterator[Rows]:
    """The rows in order, in chunks of at most CHUNK_ROWS and CHUNK_BYTES."""
    for start in range(0, len(rows), CHUNK_ROWS):
        yield from _halve_until_small(rows[start : start + CHUNK_ROWS])


def _halve_until_small(rows: Rows) -> Iterator[Rows]:
    if len(rows) == 1 or len(orjson.dumps(rows)) <= CHUNK_BYTES:
        yield rows
    else:
        middle = len(rows) // 2
        yield from _halve_until_small(rows[:middle])
        yield from _halve_until_small(rows[middle:])


def offset_ranges(offsets: Iterable[tuple[int, int]]) -> list[OffsetRange]:
    """The first and last offset in each partition of these (partition, offset)."""
    by_partition: dict[int, list[int]] = {}
    for partition, offset in offsets:
        by_partition.setdefault(partition, []).append(offset)
    return [OffsetRange(partition=p, first=min(o), last=max(o)) for p, o in sorted(by_partition.items())]


@dataclass(frozen=True)
class BatchEvents:
    """The events of one batch, all with the same time."""

    dataset: Dataset
    placement: Placement
    batch: Batch
    time: datetime

    @cached_property
    def opened(self) -> Event:
        """The cause of all other events of the batch."""
        payload = BatchOpened(**self._fields, rows=len(self.batch.rows), digest=self.batch.digest)
        return _root_event(payload, "opened", self.time)

    def rows(self) -> Iterator[Event]:
        """One event for each chunk, in order."""
        first_row = 0
        for number, rows in enumerate(split_into_chunks(self.batch.rows)):
            payload = BatchRows(**self._fields, chunk=number, first_row=first_row, rows=rows)
            yield caused_event(self.opened, f"{payload.batch}/rows/{number}", SERVICE, self.time, payload)
            first_row += len(rows)

    def closed(self, offsets: Sequence[tuple[int, int]], findings: list[str]) -> Event:
        """The manifest; `offsets` are the (partition, offset) of the chunks."""
        payload = BatchClosed(
            **self._fields,
            rows=len(self.batch.rows),
            chunks=len(offsets),
            digest=self.batch.digest,
            dataset_digest=self.dataset.digest,
            ranges=offset_ranges(offsets),
            findings=findings,
            group=self.batch.group,
        )
        return caused_event(self.opened, f"{payload.batch}/closed", SERVICE, self.time, payload)

    def missed(self) -> list[Event]:
        """One event for each batch that was skipped before this one."""
        reason = f"batch {self.placement.batch.number} came instead"
        return [missed_event(self.dataset, batch, reason, self.time) for batch in self.placement.missed]

    @property
    def _fields(self) -> dict[str, Any]:
        return _batch_fields(self.dataset, self.placement.batch)


def missed_event(dataset: Dataset, batch: BatchId, reason: str, time: datetime) -> Event:
    """The batch never arrived completely."""
    return _root_event(BatchMissed(**_batch_fields(dataset, batch), reason=reason), "missed", time)


def refused_event(dataset: Dataset, batch: BatchId, reason: str, status: int, body: str, time: datetime) -> Event:
    """An invalid response came where `batch` was expected; `body` is the name of its file in quarantine."""
    payload = BatchRefused(**_batch_fields(dataset, batch), reason=reason, status=status, body=body)
    return _root_event(payload, f"refused/{body}", time)


def declared_event(dataset: Dataset, count: int, time: datetime) -> Event:
    """The dataset file of the batches that follow. The topic has `count` earlier declarations."""
    payload = DatasetDeclared(dataset=dataset.name, digest=dataset.digest, toml=dataset.text)
    event_id = f"{dataset.name}/declared/{count}"
    return Event(event_id, SERVICE, time, payload, trace=trace_of(event_id))


def _batch_fields(dataset: Dataset, batch: BatchId) -> dict[str, Any]:
    return {"dataset": dataset.name, "epoch": batch.epoch, "number": batch.number}


def _root_event(payload: BatchPayload, suffix: str, time: datetime) -> Event:
    return Event(f"{payload.batch}/{suffix}", SERVICE, time, payload, trace=trace_of(payload.batch))
