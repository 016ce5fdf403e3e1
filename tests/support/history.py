"""A long history: many old batches, whose rows are not needed any more."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Literal

import pytest

from support.batches import TIME
from veleta.dataset import Dataset
from veleta.events.catalogue import BatchClosed, BatchOpened, OffsetRange
from veleta.events.envelope import Event, Message, encode, trace_of
from veleta.ports import EventLog
from veleta.topics import topic

PUBLISHED_AT_ONCE = 5_000
Where = Literal["old epochs", "the running epoch"]
BATCHES_PER_EPOCH = 6
AFTER_RUNNING_EPOCH = 1_000_000
"""The epoch that follows. The epochs of all histories are smaller."""

histories = pytest.mark.parametrize(
    ("old", "where"),
    [(10, "the running epoch"), (1_000, "old epochs"), (1_000, "the running epoch"), (10_000, "old epochs")],
)
"""Parametrizes a test with `old`, a number of old batches, and `where` they are."""


def place(index: int, where: Where) -> tuple[int, int]:
    """Epoch and number of an old batch."""
    return (1, index) if where == "the running epoch" else (1 + index // BATCHES_PER_EPOCH, index % BATCHES_PER_EPOCH)


def next_batch(old: int, where: Where) -> tuple[int, int]:
    """Epoch and number of a batch after `old` batches: the next one of the running epoch, or the first of a new one."""
    return (1, old) if where == "the running epoch" else (AFTER_RUNNING_EPOCH, 0)


def publish_old_batches(log: EventLog, dataset: Dataset, old: int, where: Where) -> None:
    """Publish `batch.opened` and `batch.closed` of old batches. Each has other rows."""
    messages = _old_messages(dataset.name, dataset.digest, old, where)
    for start in range(0, len(messages), PUBLISHED_AT_ONCE):
        log.publish(messages[start : start + PUBLISHED_AT_ONCE])


@cache
def _old_messages(dataset: str, digest: str, old: int, where: Where) -> Sequence[Message]:
    return [each for index in range(old) for each in _messages(dataset, digest, *place(index, where), index)]


def _messages(dataset: str, dataset_digest: str, epoch: int, number: int, index: int) -> Iterator[Message]:
    batch: dict[str, Any] = {"dataset": dataset, "epoch": epoch, "number": number}
    digest = f"{index:064x}"
    opened = BatchOpened(**batch, rows=10, digest=digest)
    ranges = [OffsetRange(partition=0, first=index, last=index)]
    closed = BatchClosed(
        **batch, rows=10, chunks=1, digest=digest, dataset_digest=dataset_digest, ranges=ranges, findings=["a finding"]
    )
    for payload, suffix in ((opened, "opened"), (closed, "closed")):
        event = Event(f"{payload.batch}/{suffix}", "poller", TIME, payload, trace=trace_of(payload.batch))
        yield encode(topic(dataset, "batches"), event)
