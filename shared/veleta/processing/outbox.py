"""The outbox: outgoing events that were stored in the transaction of their effect."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from veleta.faults import fault_point
from veleta.ports import EventLog, Transactions, UnitOfWork


class OutboxPublisher:
    """Publishes the outbox of one service. Events leave in the order in which they were stored, at least once."""

    def __init__(
        self, event_log: EventLog, transactions: Transactions[UnitOfWork], replayed: Collection[str] = ()
    ) -> None:
        """`replayed` are topics from which the service restores its tables: see `veleta.processing.replay`."""
        self._replayed = replayed
        self._event_log = event_log
        self._transactions = transactions
        self._lock = asyncio.Lock()

    async def publish_pending(self) -> None:
        """Publish all stored messages. Raises Retry."""
        async with self._lock:
            while pending := await self._transactions.run(lambda uow: uow.outbox.oldest()):
                messages = [message for _, message in pending]
                places = await asyncio.to_thread(self._event_log.publish, messages)
                fault_point("outbox.published")
                published: dict[tuple[str, int], list[int]] = defaultdict(list)
                for message, (partition, offset) in zip(messages, places, strict=True):
                    if message.topic in self._replayed:
                        published[message.topic, partition].append(offset)
                await self._transactions.run(partial(_finish, [message_id for message_id, _ in pending], published))


def _finish(ids: Sequence[int], published: Mapping[tuple[str, int], Sequence[int]], uow: UnitOfWork) -> None:
    """Delete published messages. The tables have their effects, so a checkpoint right before them moves behind them."""
    uow.outbox.delete(ids)
    for place, offsets in published.items():
        checkpoint = following = uow.checkpoints.load(*place)
        for offset in offsets:
            following += offset == following
        if following > checkpoint:
            uow.checkpoints.save(*place, following)
