"""The lease: only the trainer that holds it may act."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from veleta.errors import Retry, StateLost
from veleta.ports import T, Transactions
from veleta.service.health import ServiceHealth
from veleta_trainer.ports import LeaseRow, TrainerUnitOfWork

RENEW_BELOW = 2 / 3
"""The share of the lease's duration below which it is renewed."""
POLL_SECONDS = 0.5
"""The pause between two attempts to acquire the lease."""


class FencedTransactions:
    """Transactions that check the lease of this process first: a trainer that lost it writes nothing.

    A step begins with the lease, under its fence. If another trainer held it since, the step has ended: what it read
    may be stale, also if this process acquired the lease again.

    The lease's row also shows that the database lost state: a row that disappeared, or that is older than this process
    saw it, belongs to a database that was wiped or restored.

    The database's clock may jump. A lease that expires later than a lease can last was acquired before the clock went
    back: it has ended for other trainers, and its holder renews it.
    """

    def __init__(self, transactions: Transactions[TrainerUnitOfWork], seconds: float) -> None:
        """`seconds` is the duration of the lease."""
        self._transactions = transactions
        self._holder = uuid4().hex
        self._duration = timedelta(seconds=seconds)
        self._compared = False
        self._last_expiry: datetime | None = None
        self._fence = 0

    async def begin_step(self) -> None:
        """Acquire or renew the lease; `run` then works under this lease only.

        Raises Retry if another trainer holds the lease, and StateLost if the tables may be behind the topics.
        """
        self._fence = await self._transactions.run(self._hold)

    async def run(self, transaction: Callable[[TrainerUnitOfWork], T]) -> T:
        """Renew the lease under which the step began, then run the transaction.

        Raises Retry if another trainer held it since, and StateLost if the tables may be behind the topics.
        """

        def fenced(uow: TrainerUnitOfWork) -> T:
            if self._hold(uow) != self._fence:
                raise Retry("lease", "another trainer held it since this step began; the step is repeated")
            return transaction(uow)

        return await self._transactions.run(fenced)

    async def check_lease(self) -> None:
        """Renew the lease under which the step began. To be called before an effect outside the database."""
        await self.run(lambda _uow: None)

    async def restore(self, restore: Callable[[Transactions[TrainerUnitOfWork]], Awaitable[None]]) -> None:
        """Call `restore`, which adds what the tables lack, without the lease. Then the lease may be acquired."""
        await restore(self._transactions)
        self._compared = True

    async def renew_lease(self, health: ServiceHealth) -> None:
        """Acquire and renew the lease until the service stops; /readyz shows whether it is held."""
        running, interval = True, self._duration.total_seconds() / 3
        while running:
            pause = min(POLL_SECONDS, interval)
            try:
                await self._transactions.run(self._hold)
            except (Retry, StateLost) as error:
                if isinstance(error, StateLost) or error.dependency == "lease":
                    health.set_unavailable("lease", str(error))
            else:
                health.set_available("lease")
                pause = interval
            running = await health.wait(pause)

    async def release_lease(self) -> None:
        """Expire the lease if this process holds it, so that another trainer can acquire it at once. Raises Retry."""

        def transaction(uow: TrainerUnitOfWork) -> None:
            row = uow.lease.load()
            if row is not None and row.holder == self._holder:
                uow.lease.save(replace(row, expires_at=uow.lease.now()))

        await self._transactions.run(transaction)

    def _hold(self, uow: TrainerUnitOfWork) -> int:
        """Acquire or renew the lease: its fence."""
        row = uow.lease.load()
        now = uow.lease.now()  # after the row: while this waited for its lock, another trainer may have renewed it
        ours = row is not None and row.holder == self._holder
        if self._last_expiry and (row is None or (ours and row.expires_at < self._last_expiry)):
            self._compared, self._last_expiry = False, None
        if not self._compared:
            raise StateLost("the tables are not yet compared with the topics")
        if row is not None and not ours and now < row.expires_at <= now + self._duration:
            self._last_expiry = None
            raise Retry("lease", f"another trainer holds it until {row.expires_at:%H:%M:%S} UTC; this one stands by")
        if row is None or not ours:
            self._last_expiry = None
            row = LeaseRow(self._holder, (row.fence if row else 0) + 1, now + self._duration)
            uow.lease.save(row)
            return row.fence
        self._last_expiry = min(row.expires_at, now + self._duration)
        if not self._duration * RENEW_BELOW <= row.expires_at - now <= self._duration:
            uow.lease.save(replace(row, expires_at=now + self._duration))
        return row.fence
