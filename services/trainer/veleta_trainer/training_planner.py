"""Plans the next training: which requests it covers, and its recipe."""

import time
from dataclasses import dataclass

from veleta.batches import MAX_BATCHES, newest_of_each_number
from veleta.dataset import Dataset
from veleta.errors import Reject, Stop, one_line
from veleta.events.catalogue import BatchClosed
from veleta.faults import fault_point
from veleta.feature_definition import FeatureDefinition
from veleta.features import FEATURE_VERSION, Features
from veleta.market_levels import LevelHistory
from veleta.processing.manifests import Manifests
from veleta_trainer.aliases import Aliases
from veleta_trainer.domain.recipe import Recipe, batches_of_other_numbers
from veleta_trainer.domain.training import Training, TrainingRequest, plan_requests
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.training_recorder import TrainingRecorder

RECONCILE_SECONDS = 30.0
"""How often the aliases are compared with the decisions while no request is waiting."""

LAST_NUMBER = 2**31 - 1
"""No batch has a greater number."""


@dataclass
class RecipeBuilder:
    """Builds recipes from manifests, CatBoost's parameters and the versions of libraries."""

    _dataset: Dataset
    _manifests: Manifests
    _params: dict[str, str | int | float]
    _libraries: dict[str, str]
    _max_rows: int

    async def build(
        self,
        request: TrainingRequest,
        champion: int | None,
        champion_recipe: Recipe | None,
        champion_levels: LevelHistory,
    ) -> Recipe:
        """The recipe for a request, with the newest closed batch of each number.

        Its epoch has them up to the number of the request. The epoch before has the others, until they are replaced.
        `champion_levels` are those of the champion's market since its training.

        Raises:
            Reject: there is none.
            Retry: a dependency is unavailable.
        """
        closed = await self._manifests.newest(request.epoch, request.number, MAX_BATCHES)
        if not closed:
            raise Reject(f"no batch of epoch {request.epoch} up to {request.number} is closed")
        last_epoch = await self._manifests.newest(request.epoch - 1, LAST_NUMBER, MAX_BATCHES)
        batches = newest_of_each_number([*last_epoch, *closed])
        holdout = [*champion_recipe.batches, *champion_recipe.more_holdout] if champion_recipe else []
        return Recipe(
            request_id=request.request_id,
            dataset=self._dataset.name,
            dataset_digest=self._dataset.digest,
            dataset_file=self._dataset.text,
            feature_version=FEATURE_VERSION,
            batches=batches,
            more_holdout=batches_of_other_numbers(batches, holdout),
            champion=champion,
            champion_levels=champion_levels,
            params=self._params,
            libraries=self._libraries,
            max_rows=self._max_rows,
            places_digest=Features(self._dataset).places_digest,
        )

    def differences(self, recipe: Recipe) -> list[str]:
        """How the features of the present dataset file differ from those of a recipe: see `FeatureDefinition`."""
        try:
            definition = recipe.definition
        except Stop as error:
            return [f"its dataset file cannot be read: {one_line(error)}"]
        return definition.differences(FeatureDefinition.of_dataset(self._dataset))

    async def last_batch(self) -> BatchClosed | None:
        """The newest closed batch. Raises Retry."""
        return await self._manifests.last()


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
                await self._request_for_other_features()
        if not waiting:
            return False
        champion = await self._aliases.champion_number()
        plan = plan_requests(waiting, champion=champion is not None)
        recipe = await self._recipe(plan.train, champion) if plan.train else None
        await self._recorder.planned(plan, recipe, champion)
        fault_point("trainer.planned")
        return True

    async def _request_for_other_features(self) -> None:
        """Request a training if the champion learnt from other features: inference does not serve it."""
        version = await self._aliases.champion()
        training = await self._training(version.number) if version else None
        if version and training and (differences := self._recipes.differences(training.recipe)):
            reason = f"version {version.number} learnt from other features: {'; '.join(differences)}"
            if manifest := await self._recipes.last_batch():
                await self._recorder.request(manifest, version.number, reason)

    async def _training(self, version: int) -> Training | None:
        return await self._transactions.run(lambda uow: uow.trainings.of_version(version))

    async def _recipe(self, request: TrainingRequest, champion: int | None) -> Recipe | Reject:
        """The recipe, or why there is none."""
        training = await self._training(champion) if champion else None
        champion_recipe, levels = training.recipe if training else None, LevelHistory()
        if training and champion:
            run_id = training.run_id
            levels = await self._transactions.run(lambda uow: uow.market_levels.history(champion, run_id))
        try:
            return await self._recipes.build(request, champion, champion_recipe, levels)
        except Reject as error:
            return error
