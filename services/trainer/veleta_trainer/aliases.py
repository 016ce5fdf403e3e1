"""Moves the registry's aliases after a decision, and repairs aliases that differ from the decisions."""

import asyncio

import structlog

from veleta.dataset import Policy
from veleta.faults import fault_point
from veleta.ports import CHAMPION, DECISION, PREVIOUS, SEQ, Registry, Version
from veleta_trainer.domain.description import description
from veleta_trainer.domain.training import PromotionRow, Training
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.training_recorder import TrainingRecorder

CHALLENGER = "challenger"
PRODUCTION = "Production"
"""The stage of the champion, if the policy is `seed`: the original course project knows no aliases."""
log = structlog.get_logger()


class Aliases:
    """The aliases of the registered model. They move after the decision is stored. Setting one twice is harmless."""

    def __init__(
        self, policy: Policy, registry: Registry, transactions: FencedTransactions, recorder: TrainingRecorder
    ) -> None:
        self._policy = policy
        self._registry = registry
        self._transactions = transactions
        self._recorder = recorder

    async def champion(self) -> Version | None:
        """The version with the alias `champion`. Raises Retry."""
        return await asyncio.to_thread(self._registry.alias, CHAMPION)

    async def champion_number(self) -> int | None:
        """The number of the champion. Of a version that was deleted too: it is served until another one is promoted."""
        if version := await self.champion():
            return version.number
        last = await self._last()
        return last.version if last else None

    async def check_lease(self) -> None:
        """To be called before each write to the registry. Raises Retry if another trainer held the lease since."""
        await self._transactions.check_lease()

    async def describe(self, version: Version, training: Training, decision: PromotionRow | None = None) -> None:
        """Set the description of a version and of its run. Raises Retry."""
        await self.check_lease()
        await asyncio.to_thread(self._registry.describe, version, description(training, decision))

    async def move(self, promotion: PromotionRow) -> None:
        """Set tags and aliases according to a decision. Raises Retry if another trainer holds the lease."""
        version = promotion.version
        await self._set_tag(version, SEQ, str(promotion.seq))
        await self._set_tag(version, DECISION, promotion.description)
        fault_point("trainer.tagged")
        if promotion.decision == "rejected":
            await self._set_alias(CHALLENGER, version)
            if rejected := await asyncio.to_thread(self._registry.version, version):
                await self._describe(rejected, promotion)
            return
        await self._set_previous(promotion.previous)
        fault_point("trainer.previous")
        await self._set_alias(CHAMPION, version)
        await self._set_stage(version)
        fault_point("trainer.promoted")
        await self._record(promotion)  # last: see `finish_move`

    async def finish_move(self) -> None:
        """Move the aliases if the trainer ended before it had moved them for the last promotion. Raises Retry."""
        await self._finish_move(await self._last())

    async def _finish_move(self, last: PromotionRow | None) -> None:
        """See `finish_move`. The registry's record of the champion is older than that promotion then.

        If it is not, a person moved the alias.
        """
        recorded = await asyncio.to_thread(self._registry.recorded_champion)
        if last and recorded and recorded.seq < last.seq and await self._exists(last.version):
            await self.move(last)

    async def reconcile(self) -> None:
        """Make aliases and decisions agree, while no training is in progress. Raises Retry.

        A champion alias that was moved by hand becomes a decision. A champion that was deleted is recorded. A missing
        alias is set again.
        """
        last = await self._last()
        await self._finish_move(last)
        version = await self.champion()
        if version and (last is None or version.number != last.version):
            decision = await self._recorder.decide_manually(version, last)
            await self._tag(decision)  # first: inference follows an event only if the registry knows its decision
            last = await self._recorder.promoted_manually(version, decision)
            await self._set_stage(last.version)
            log.warning("the champion alias was moved by hand", version=last.version, seq=last.seq)
        if last:
            await self._repair(last)

    async def record_deletion(self) -> None:
        """Record once that the version of the last promotion was deleted in the registry, if it was. Raises Retry."""
        last = await self._last()
        if last and not await self._exists(last.version):
            await self._recorder.deleted(last)

    async def _repair(self, last: PromotionRow) -> None:
        """Set the tag and the aliases that the last decision implies, if its version exists."""
        version = await asyncio.to_thread(self._registry.version, last.version)
        if version is None:
            await self._recorder.deleted(last)
            return
        if version.seq != last.seq or not version.tags.get(DECISION, "").startswith(last.decision):
            await self._tag(last)
        recorded = await asyncio.to_thread(self._registry.recorded_champion)
        if recorded is None or (recorded.number, recorded.seq) != (last.version, last.seq):
            await self._record(last)
        previous = await asyncio.to_thread(self._registry.alias, PREVIOUS)
        if last.previous is not None and (previous is None or previous.number != last.previous):
            await self._set_previous(last.previous)
        if await self.champion() is None:
            await self._set_alias(CHAMPION, last.version)

    async def _set_previous(self, version: int | None) -> None:
        if version is not None and await self._exists(version):
            await self._set_alias(PREVIOUS, version)

    async def _last(self) -> PromotionRow | None:
        """The last decision that made a champion."""
        return await self._transactions.run(lambda uow: uow.promotions.champion())

    async def _exists(self, version: int) -> bool:
        return await asyncio.to_thread(self._registry.version, version) is not None

    async def _record(self, promotion: PromotionRow) -> None:
        """Record the champion, by which inference knows its promotion also after a deletion of the version."""
        if version := await asyncio.to_thread(self._registry.version, promotion.version):
            await self._describe(version, promotion)
            await self.check_lease()
            await asyncio.to_thread(self._registry.record_champion, version)

    async def _describe(self, version: Version, decision: PromotionRow) -> None:
        """Describe the version of a decision. The description of one that a person registered is that person's."""
        training = await self._recorder.training_of(version.number)
        if training and training.run_id == version.run_id:
            await self.describe(version, training, decision)

    async def _tag(self, decision: PromotionRow) -> None:
        await self._set_tag(decision.version, DECISION, decision.description)
        await self._set_tag(decision.version, SEQ, str(decision.seq))

    async def _set_alias(self, alias: str, version: int) -> None:
        await self.check_lease()
        await asyncio.to_thread(self._registry.set_alias, alias, version)

    async def _set_stage(self, version: int) -> None:
        """Move the champion to the stage Production, if the policy is `seed`."""
        if self._policy == "seed":
            await self.check_lease()
            await asyncio.to_thread(self._registry.set_stage, version, PRODUCTION)

    async def _set_tag(self, version: int, tag: str, value: str) -> None:
        await self.check_lease()
        await asyncio.to_thread(self._registry.set_tag, version, tag, value)
