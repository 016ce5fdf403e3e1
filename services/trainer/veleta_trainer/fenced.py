"""The ledger of the one trainer that may act: every transaction checks the lease first."""

from collections.abc import Callable

from veleta.ports import T, Transactions
from veleta_trainer.lease import Lease
from veleta_trainer.ports import TrainerUnitOfWork


class Fenced:
    """Transactions behind the lease: a trainer that was frozen and overtaken writes nothing."""

    def __init__(self, transactions: Transactions[TrainerUnitOfWork], lease: Lease) -> None:
        self._transactions = transactions
        self._lease = lease

    async def run(self, transaction: Callable[[TrainerUnitOfWork], T]) -> T:
        """See `Ledger.run`; raises what `Lease.hold` raises, too."""

        def fenced(uow: TrainerUnitOfWork) -> T:
            self._lease.hold(uow)
            return transaction(uow)

        return await self._transactions.run(fenced)

    async def check(self) -> None:
        """Whether the lease is still ours: before something that no transaction holds."""
        await self.run(lambda _work: None)
