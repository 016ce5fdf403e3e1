"""Shows a champion whose version was deleted in the registry, also during a training."""

from dataclasses import dataclass
from functools import partial

import structlog

from veleta.errors import Retry
from veleta.ports import Registry, Transactions
from veleta.service.health import ServiceHealth
from veleta.threads import call_in_thread
from veleta_trainer.domain.manual_promotion import deleted
from veleta_trainer.ports import TrainerUnitOfWork

WATCH_SECONDS = 10.0
log = structlog.get_logger()


@dataclass
class ChampionWatch:
    """Compares the last promotion with the registry. It writes nothing, so it needs no lease."""

    _registry: Registry
    _transactions: Transactions[TrainerUnitOfWork]
    _health: ServiceHealth

    async def run(self) -> None:
        """Check every WATCH_SECONDS until the service stops."""
        while await self._health.wait(WATCH_SECONDS):
            try:
                await self.check()
            except Retry:
                pass  # the other watches show it
            except Exception:
                log.exception("the champion cannot be checked")

    async def check(self) -> None:
        """Show or remove the warning. Raises Retry."""
        last = await self._transactions.run(lambda uow: uow.promotions.champion())
        version = await call_in_thread(partial(self._registry.version, last.version)) if last else None
        self._health.set_warning("champion", deleted(last.version) if last and version is None else "")
