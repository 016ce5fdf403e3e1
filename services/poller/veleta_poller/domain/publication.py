"""A batch as events: opened, its rows in chunks, closed. Ids are derived, so publishing again gives the same ones."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypedDict

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
    CommandAccepted,
    CommandRefused,
    DatasetDeclared,
    OffsetRange,
)
from veleta.events.envelope import Event, caused_event, trace_of
from veleta_poller.domain.answers import Batch
from veleta_poller.domain.sequence import Step
from veleta_poller.domain.state import Reply

SERVICE = "poller"
CHUNK_ROWS = 500
CHUNK_BYTES = 512 * 1024
"""The JSON of a chunk's rows; a single row may be larger."""


class _Where(TypedDict):
    dataset: str
    epoch: int
    number: int


def chunks(rows: Rows) -> Iterator[Rows]:
    """Rows in their order, in chunks of at most CHUNK_ROWS and CHUNK_BYTES."""
    for start in range(0, len(rows), CHUNK_ROWS):
        yield from _halved(rows[start : start + CHUNK_ROWS])


def _halved(rows: Rows) -> Iterator[Rows]:
    if len(rows) == 1 or len(orjson.dumps(rows)) <= CHUNK_BYTES:
        yield rows
    else:
        middle = len(rows) // 2
        yield from _halved(rows[:middle])
        yield from _halved(rows[middle:])


def ranges(places: Iterable[tuple[int, int]]) -> list[OffsetRange]:
    """The first and last offset in each partition of these (partition, offset)."""
    by_partition: dict[int, list[int]] = {}
    for partition, offset in places:
        by_partition.setdefault(partition, []).append(offset)
    return [OffsetRange(partition=p, first=min(o), last=max(o)) for p, o in sorted(by_partition.items())]


@dataclass(frozen=True)
class Publication:
    """A batch on its way to the topics, under its place in the sequence. All its events bear one time."""

    dataset: Dataset
    step: Step
    batch: Batch
    time: datetime

    @cached_property
    def opened(self) -> Event:
        """What all other events of the batch follow from."""
        payload = BatchOpened(**self._where, rows=len(self.batch.rows), digest=self.batch.digest)
        return _beginning(payload, f"{payload.batch}/opened", self.time)

    def rows(self) -> Iterator[Event]:
        """An event per chunk, in order."""
        first_row = 0
        for number, rows in enumerate(chunks(self.batch.rows)):
            payload = BatchRows(**self._where, chunk=number, first_row=first_row, rows=rows)
            yield caused_event(self.opened, f"{payload.batch}/rows/{number}", SERVICE, self.time, payload)
            first_row += len(rows)

    def closed(self, places: Sequence[tuple[int, int]], findings: list[str]) -> Event:
        """The manifest; `places` are the (partition, offset) of the chunks."""
        payload = BatchClosed(
            **self._where,
            rows=len(self.batch.rows),
            chunks=len(places),
            digest=self.batch.digest,
            dataset_digest=self.dataset.digest,
            ranges=ranges(places),
            findings=findings,
        )
        return caused_event(self.opened, f"{payload.batch}/closed", SERVICE, self.time, payload)

    def missed(self) -> list[Event]:
        """An event for each batch that was passed over on the way to this one."""
        reason = f"batch {self.step.number} came instead"
        return [missed(self.dataset, (self.step.epoch, n), reason, self.time) for n in self.step.missed]

    @property
    def _where(self) -> _Where:
        return _Where(dataset=self.dataset.name, epoch=self.step.epoch, number=self.step.number)


def missed(dataset: Dataset, place: tuple[int, int], reason: str, time: datetime) -> Event:
    """Batch `place` (epoch, number) never arrived whole."""
    payload = BatchMissed(dataset=dataset.name, epoch=place[0], number=place[1], reason=reason)
    return _beginning(payload, f"{payload.batch}/missed", time)


def refused(dataset: Dataset, place: tuple[int, int], reason: str, status: int, body: str, time: datetime) -> Event:
    """Where batch `place` (epoch, number) was expected, an answer came that cannot be used; `body` is its file."""
    epoch, number = place
    payload = BatchRefused(dataset=dataset.name, epoch=epoch, number=number, reason=reason, status=status, body=body)
    return _beginning(payload, f"{payload.batch}/refused/{body}", time)


def declared(dataset: Dataset, count: int, time: datetime) -> Event:
    """From here on batches are read by this dataset file; `count` declarations came before it."""
    payload = DatasetDeclared(dataset=dataset.name, digest=dataset.digest, toml=dataset.text)
    event_id = f"{dataset.name}/declared/{count}"
    return Event(event_id, SERVICE, time, payload, trace=trace_of(event_id))


def answered(dataset: Dataset, reply: Reply, time: datetime) -> Event:
    """What becomes of a command."""
    about = {"dataset": dataset.name, "command": reply.command}
    if reply.accepted:
        payload: CommandAccepted | CommandRefused = CommandAccepted(**about, effect=reply.words)
    else:
        payload = CommandRefused(**about, reason=reply.words)
    what = payload.TYPE.removeprefix("command.")
    trace = trace_of(reply.command)
    return Event(f"{reply.command}/{what}", SERVICE, time, payload, cause=reply.command, trace=trace)


def _beginning(payload: BatchPayload, event_id: str, time: datetime) -> Event:
    return Event(event_id, SERVICE, time, payload, trace=trace_of(payload.batch))
