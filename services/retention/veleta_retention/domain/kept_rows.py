"""Which batches keep their rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

BatchKey = tuple[int, int]
"""Epoch and number of a batch. Batches are closed, and deleted, in this order."""


@dataclass(frozen=True)
class ClosedBatch:
    """What retention knows of a manifest: where it is in the topic `batches`, and where its rows begin."""

    offset: int
    closed_at: datetime
    first_rows: Mapping[int, int]
    """By partition of the topic `rows`: the offset of its first record."""


@dataclass(frozen=True)
class Limits:
    """0 is no limit."""

    epochs: int
    """How many epochs keep their rows."""
    days: int
    """How many days a batch keeps its rows."""


def describe_limits(request_days: int, limits: Limits, versions: int) -> str:
    """What retention deletes, for people."""
    deleted = [
        f"requests after {request_days} days" if request_days else "",
        f"rows of all but {limits.epochs} epochs" if limits.epochs else "",
        f"rows of earlier epochs after {limits.days} days" if limits.days else "",
        f"artifacts of all but {versions} versions" if versions else "",
    ]
    return f"deletes {'; '.join(filter(None, [*deleted, 'purged requests']))}"


def oldest_kept(batches: Mapping[BatchKey, ClosedBatch], newest: int, limits: Limits, now: datetime) -> BatchKey | None:
    """The first batch that the limits keep; None if there is no batch. The epoch `newest` is kept as a whole.

    Batches of later epochs do not count: their rows may not exist.
    """
    batches = {key: batch for key, batch in batches.items() if key[0] <= newest}
    if not batches:
        return None
    epochs = sorted({epoch for epoch, _ in batches})
    first_epoch = epochs[-limits.epochs :][0] if limits.epochs else epochs[0]
    kept = [
        key
        for key, batch in batches.items()
        if key[0] >= first_epoch and (key[0] == epochs[-1] or not _expired(batch, limits.days, now))
    ]
    return min(kept)


def needed_from(batches: Mapping[BatchKey, ClosedBatch], processed: int, trainings: BatchKey | None) -> BatchKey | None:
    """The first batch that a service still needs: one that was not processed, or that a training reads.

    `processed`: the next offset of `batches` that the slowest service will process.
    """
    waiting = [key for key, batch in batches.items() if batch.offset >= processed]
    return min([*waiting, *([trainings] if trainings else [])], default=None)


def first_offsets(batches: Mapping[BatchKey, ClosedBatch], oldest: BatchKey) -> dict[int, int]:
    """By partition: the first record of `rows` that a batch from `oldest` on has."""
    first: dict[int, int] = {}
    for key, batch in batches.items():
        for partition, offset in batch.first_rows.items() if key >= oldest else ():
            first[partition] = min(offset, first.get(partition, offset))
    return first


def _expired(batch: ClosedBatch, days: int, now: datetime) -> bool:
    return bool(days) and (now - batch.closed_at).days >= days
