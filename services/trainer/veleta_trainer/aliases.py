"""Where the aliases move: after a decision, and when they are found elsewhere than the decisions say."""

import asyncio

import structlog

from veleta.clock import Clock, for_sql
from veleta.events.envelope import Event, encode
from veleta.faults import fault_point
from veleta.ports import CHAMPION, SEQ, Registry, Version
from veleta.topics import topic
from veleta_trainer.domain import outside
from veleta_trainer.domain.training import Crowned, Training
from veleta_trainer.fenced import Fenced
from veleta_trainer.handlers import SERVICE
from veleta_trainer.ports import TrainerUnitOfWork

PREVIOUS, CHALLENGER = "previous", "challenger"
log = structlog.get_logger()


class Aliases:
    """The aliases of one model. The decisions are kept before, and setting an alias twice is harmless."""

    def __init__(
        self,
        model: str,
        registry: Registry,
        transactions: Fenced,
        clock: Clock,
    ) -> None:
        self._model = model
        self._registry = registry
        self._transactions = transactions
        self._clock = clock

    async def champion(self) -> Version | None:
        """The version that bears the alias."""
        return await asyncio.to_thread(self._registry.alias, CHAMPION)

    async def move(self, training: Training) -> None:
        """Where the alias moves. Raises Retry when another trainer took over."""
        await self._transactions.check()
        await asyncio.to_thread(self._follow, training)

    async def reconcile(self) -> None:
        """Bring aliases and decisions together, while no training is under way.

        An alias that somebody moved is a decision from outside; one that is missing is set again. Raises Retry.
        """
        alias, last = await self.champion(), await self._transactions.run(lambda uow: uow.trainings.champion())
        if alias and (last is None or alias.number != last.version):
            last = await self._record(alias, last)
        if last:
            await self._transactions.check()
            await asyncio.to_thread(self._sound, last)

    def _follow(self, training: Training) -> None:
        version, champion = training.version, training.recipe.champion
        self._registry.tag(version, SEQ, str(training.seq))
        self._registry.tag(version, "decision", f"{training.decision}: {training.reason}")
        fault_point("trainer.tagged")
        if training.decision == "rejected":
            self._registry.set_alias(CHALLENGER, version)
            return
        self._set_previous(champion)
        fault_point("trainer.previous")
        self._registry.set_alias(CHAMPION, version)
        fault_point("trainer.crowned")

    async def _record(self, alias: Version, last: Crowned | None) -> Crowned:
        """Keep and tell that the alias was moved by hand."""
        now, before = self._clock(), last.version if last else None

        def transaction(uow: TrainerUnitOfWork) -> Crowned:
            trainings = uow.trainings
            seq = trainings.decide(
                version=alias.number,
                previous=before,
                decision=outside.DECISION,
                reason=outside.reason(alias.number, last),
                actor=outside.DECISION,
                cause=None,
                decided_at=for_sql(now),
            )
            told = outside.promoted(self._model, alias, seq, last, trainings.metrics_of(alias.number))
            event = Event(outside.event_id(self._model, seq), SERVICE, now, told)
            uow.outbox.append(encode(topic(self._model, "models"), event))
            return Crowned(seq, alias.number, before)

        crowned = await self._transactions.run(transaction)
        log.warning("the alias was moved by hand", version=alias.number, seq=crowned.seq)
        return crowned

    def _sound(self, last: Crowned) -> None:
        """Tag and aliases as the last decision wants them, where its version still exists."""
        version = self._registry.version(last.version)
        if version is None:
            return
        if version.tags.get(SEQ) != str(last.seq):
            self._registry.tag(last.version, SEQ, str(last.seq))
        before = self._registry.alias(PREVIOUS)
        if last.previous is not None and (before is None or before.number != last.previous):
            self._set_previous(last.previous)
        if self._registry.alias(CHAMPION) is None:
            self._registry.set_alias(CHAMPION, last.version)

    def _set_previous(self, champion: int | None) -> None:
        if champion is not None and self._registry.version(champion):
            self._registry.set_alias(PREVIOUS, champion)
