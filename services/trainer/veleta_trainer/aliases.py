"""Moves the registry's aliases after a decision, and repairs aliases that differ from the decisions."""

import asyncio

import structlog

from veleta.faults import fault_point
from veleta.ports import CHAMPION, SEQ, Registry, Version
from veleta_trainer.domain.training import PromotionRow
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.training_recorder import TrainingRecorder

PREVIOUS, CHALLENGER = "previous", "challenger"
log = structlog.get_logger()


class Aliases:
    """The aliases of the registered model. They move after the decision is stored. Setting one twice is harmless."""

    def __init__(self, registry: Registry, transactions: FencedTransactions, recorder: TrainingRecorder) -> None:
        self._registry = registry
        self._transactions = transactions
        self._recorder = recorder

    async def champion(self) -> Version | None:
        """The version with the alias `champion`. Raises Retry."""
        return await asyncio.to_thread(self._registry.alias, CHAMPION)

    async def move(self, promotion: PromotionRow) -> None:
        """Set tags and aliases according to a decision. Raises Retry if another trainer holds the lease."""
        await self._transactions.check_lease()
        await asyncio.to_thread(self._move, promotion)

    async def reconcile(self) -> None:
        """Make aliases and decisions agree, while no training is in progress. Raises Retry.

        A champion alias that was moved by hand becomes a decision. A missing alias is set again.
        """
        version = await self.champion()
        last = await self._transactions.run(lambda uow: uow.promotions.champion())
        if version and (last is None or version.number != last.version):
            last = await self._recorder.promoted_manually(version, last)
            log.warning("the champion alias was moved by hand", version=last.version, seq=last.seq)
        if last:
            await self._transactions.check_lease()
            await asyncio.to_thread(self._repair, last)

    def _move(self, promotion: PromotionRow) -> None:
        version = promotion.version
        self._registry.set_tag(version, SEQ, str(promotion.seq))
        self._registry.set_tag(version, "decision", f"{promotion.decision}: {promotion.reason}")
        fault_point("trainer.tagged")
        if promotion.decision == "rejected":
            self._registry.set_alias(CHALLENGER, version)
            return
        self._set_previous(promotion.previous)
        fault_point("trainer.previous")
        self._registry.set_alias(CHAMPION, version)
        fault_point("trainer.promoted")

    def _repair(self, last: PromotionRow) -> None:
        """Set the tag and the aliases that the last decision implies, if its version exists."""
        version = self._registry.version(last.version)
        if version is None:
            return
        if version.tags.get(SEQ) != str(last.seq):
            self._registry.set_tag(last.version, SEQ, str(last.seq))
        previous = self._registry.alias(PREVIOUS)
        if last.previous is not None and (previous is None or previous.number != last.previous):
            self._set_previous(last.previous)
        if self._registry.alias(CHAMPION) is None:
            self._registry.set_alias(CHAMPION, last.version)

    def _set_previous(self, version: int | None) -> None:
        if version is not None and self._registry.version(version):
            self._registry.set_alias(PREVIOUS, version)
