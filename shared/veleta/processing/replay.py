"""Restores a service's tables from a topic that it writes: after a wipe, or after a restore of an old copy.

The checkpoint in such a topic is the offset before which the tables have every event. It is stored with the effect, and
moves on when the outbox is published. So a start of a service that lost nothing reads nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from veleta.batches import decoded
from veleta.events.envelope import Event
from veleta.ports import EventLog, Transactions, U

PORTION = 500
"""Records that are read and applied together."""


async def replay(
    name: str,
    event_log: EventLog,
    transactions: Transactions[U],
    apply: Callable[[Sequence[Event], U], None],
    *,
    save: bool = True,
) -> None:
    """Apply the events of a topic from the checkpoint to the end, in portions, each with its checkpoint.

    An event may be applied twice. `save=False` leaves the checkpoint alone: it is that of a consumer. Raises Retry.
    """
    for partition, (first, end) in (await asyncio.to_thread(event_log.bounds, name)).items():
        start = await transactions.run(partial(_start, name, partition, end, save=save))
        for portion in range(max(start, first), end, PORTION):
            last = min(portion + PORTION, end) - 1
            events = await asyncio.to_thread(_read, event_log, name, partition, portion, last)

            def transaction(uow: U, events: Sequence[Event] = events, following: int = last + 1) -> None:
                apply(events, uow)
                if save and uow.checkpoints.load(name, partition) < following:  # noqa: B023 - runs at once
                    uow.checkpoints.save(name, partition, following)  # noqa: B023 - runs at once

            await transactions.run(transaction)


def _start(name: str, partition: int, end: int, uow: U, *, save: bool) -> int:
    """The checkpoint. One beyond the end belongs to a topic that was recreated: it becomes 0."""
    checkpoint = uow.checkpoints.load(name, partition)
    if checkpoint <= end:
        return checkpoint
    if save:
        uow.checkpoints.save(name, partition, 0)
    return 0


def _read(event_log: EventLog, name: str, partition: int, first: int, last: int) -> list[Event]:
    return [*decoded(event_log.read(name, partition, first, last))]
