"""The outbox: outgoing events that were stored in the transaction of their effect."""

import asyncio
from collections.abc import Sequence
from functools import partial

from veleta.faults import fault_point
from veleta.ports import EventLog, Transactions, UnitOfWork


class OutboxPublisher:
    """Publishes the outbox of one service. Events leave in the order in which they were stored, at least once."""

    def __init__(self, event_log: EventLog, transactions: Transactions[UnitOfWork]) -> None:
        self._event_log = event_log
        self._transactions = transactions
        self._lock = asyncio.Lock()

    async def publish_pending(self) -> None:
        """Publish all stored messages. Raises Retry."""
        async with self._lock:
            while pending := await self._transactions.run(lambda uow: uow.outbox.oldest()):
                await asyncio.to_thread(self._event_log.publish, [message for _, message in pending])
                fault_point("outbox.published")
                await self._transactions.run(partial(_delete, [message_id for message_id, _ in pending]))


def _delete(ids: Sequence[int], uow: UnitOfWork) -> None:
    uow.outbox.delete(ids)
