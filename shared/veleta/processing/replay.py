"""Restores a service's tables from a topic that it writes: after a wipe, or after a restore of an old copy.

The checkpoint in such a topic is the offset before which the tables have every event. It is stored with the effect, and
moves on when the outbox is published. So a start of a service that lost nothing reads nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError, StatementError

from veleta.adapters.mysql import is_data_error
from veleta.batches import decoded
from veleta.errors import one_line
from veleta.events.envelope import Event
from veleta.ports import EventLog, Transactions, U

log = structlog.get_logger()
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

    An event may be applied twice. One that does not fit its table is set aside: a line in the log names it.
    `save=False` leaves the checkpoint alone: it is that of a consumer. Raises Retry.
    """
    for partition, (first, end) in (await asyncio.to_thread(event_log.bounds, name)).items():
        start = await transactions.run(partial(_start, name, partition, end, save=save))
        for portion in range(max(start, first), end, PORTION):
            last = min(portion + PORTION, end) - 1
            events = await asyncio.to_thread(_read, event_log, name, partition, portion, last)
            following = last + 1 if save else 0
            await _apply(events, transactions, apply, partial(_advance, name, partition, following))


async def _apply(
    events: Sequence[Event],
    transactions: Transactions[U],
    apply: Callable[[Sequence[Event], U], None],
    advance: Callable[[U], None],
) -> None:
    """Apply a portion in one transaction. If that fails because of an event, apply each event in its own."""

    def transaction(uow: U) -> None:
        apply(events, uow)
        advance(uow)

    try:
        return await transactions.run(transaction)
    except Exception as error:
        if not _is_of_event(error):
            raise
    for event in events:
        try:
            await transactions.run(partial(apply, [event]))
        except Exception as error:
            if not _is_of_event(error):
                raise
            log.error("event set aside", id=event.id, type=event.type, reason=one_line(error))  # noqa: TRY400 - it is the event's fault
    return await transactions.run(advance)


def _is_of_event(error: Exception) -> bool:
    """Whether the event is at fault: its values do not fit their columns, or it contradicts what is stored."""
    if isinstance(error, DBAPIError):
        return is_data_error(error)
    return isinstance(error, StatementError | ValueError | TypeError | LookupError | ArithmeticError)


def _advance(name: str, partition: int, following: int, uow: U) -> None:
    if uow.checkpoints.load(name, partition) < following:
        uow.checkpoints.save(name, partition, following)


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
