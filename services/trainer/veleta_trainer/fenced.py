"""The ledger of the one trainer that may act: every transaction checks the lease first."""

from collections.abc import Callable

from veleta.ports import Ledger, T, Work
from veleta_trainer.ports import Lease


class Fenced:
    """Transactions behind the lease: a trainer that was frozen and overtaken writes nothing."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self._ledger = ledger
        self._lease = lease

    async def run(self, transaction: Callable[[Work], T]) -> T:
        """See `Ledger.run`; raises what `Lease.hold` raises, too."""

        def fenced(work: Work) -> T:
            self._lease.hold(work)
            return transaction(work)

        return await self._ledger.run(fenced)

    async def check(self) -> None:
        """Whether the lease is still ours: before something that no transaction holds."""
        await self.run(lambda _work: None)
