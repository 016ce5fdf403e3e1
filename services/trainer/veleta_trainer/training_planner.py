"""Plans the next training: which requests it covers, and its recipe."""

import asyncio
import time
from dataclasses import dataclass

from veleta.batches import batch_manifests, read_events
from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.faults import fault_point
from veleta.features import FEATURE_VERSION
from veleta.ports import EventLog
from veleta_trainer.aliases import Aliases
from veleta_trainer.domain.recipe import Recipe, batches_with_other_rows, newest
from veleta_trainer.domain.training import TrainingRequest, plan_requests
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.training_recorder import TrainingRecorder

RECONCILE_SECONDS = 30.0
"""How often the aliases are compared with the decisions while no request is waiting."""


@dataclass
class RecipeBuilder:
    """Builds recipes from the batches in the topics, CatBoost's parameters and the versions of libraries."""

    _dataset: Dataset
    _event_log: EventLog
    _params: dict[str, str | int | float]
    _libraries: dict[str, str]

    def build(self, request: TrainingRequest, champion: int | None, champion_recipe: Recipe | None) -> Recipe:
        """The recipe for a request. Blocks. Raises Retry, and Reject if no batch of its epoch is closed."""
        batches = self._batches(request)
        holdout = [*champion_recipe.batches, *champion_recipe.more_holdout] if champion_recipe else []
        return Recipe(
            request_id=request.request_id,
            dataset=self._dataset.name,
            dataset_digest=self._dataset.digest,
            dataset_file=self._dataset.text,
            feature_version=FEATURE_VERSION,
            batches=batches,
            more_holdout=batches_with_other_rows(batches, holdout),
            champion=champion,
            params=self._params,
            libraries=self._libraries,
        )

    def _batches(self, request: TrainingRequest) -> list[BatchClosed]:
        """The newest closed batches of the epoch, up to that of the request, by number. Raises Reject if none is."""
        manifests = sorted(batch_manifests(read_events(self._event_log, self._dataset.name)).items())
        batches = [e.payload for (epoch, number), e in manifests if epoch == request.epoch and number <= request.number]
        if not batches:
            raise Reject(f"no batch of epoch {request.epoch} up to {request.number} is closed")
        return newest([batch for batch in batches if isinstance(batch, BatchClosed)])


@dataclass
class TrainingPlanner:
    """Turns the waiting requests into one planned training."""

    _recipes: RecipeBuilder
    _aliases: Aliases
    _transactions: FencedTransactions
    _recorder: TrainingRecorder
    _reconciled_at: float = 0.0

    async def plan_next(self) -> bool:
        """Merge, skip and plan the waiting requests. Returns False if there are none. Raises Retry and StateLost."""
        waiting = await self._transactions.run(lambda uow: uow.trainings.waiting())
        if waiting or time.monotonic() - self._reconciled_at > RECONCILE_SECONDS:
            await self._aliases.reconcile()
            self._reconciled_at = time.monotonic()
        if not waiting:
            return False
        version = await self._aliases.champion()
        champion = version.number if version else None
        plan = plan_requests(waiting, champion=version is not None)
        recipe = await self._recipe(plan.train, champion) if plan.train else None
        await self._recorder.planned(plan, recipe, champion)
        fault_point("trainer.planned")
        return True

    async def _recipe(self, request: TrainingRequest, champion: int | None) -> Recipe | Reject:
        """The recipe, or why there is none."""
        training = await self._transactions.run(lambda uow: uow.trainings.of_version(champion)) if champion else None
        champion_recipe = training.recipe if training else None
        try:
            return await asyncio.to_thread(self._recipes.build, request, champion, champion_recipe)
        except Reject as error:
            return error
