"""The training workflow: one training at a time, each state stored before the next step, so that a kill is harmless."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from veleta.batches import ROWS_DELETED
from veleta.dataset import parse_dataset
from veleta.errors import Reject, Retry, StateLost
from veleta.events.catalogue import Profile
from veleta.faults import fault_point
from veleta.ports import Registry, Version
from veleta.service.health import NO_CORES, ServiceHealth
from veleta_trainer.aliases import Aliases
from veleta_trainer.domain import events
from veleta_trainer.domain.decision import Challenge, champion_changed, decide, gates_of_metrics
from veleta_trainer.domain.evaluation import largest_slices
from veleta_trainer.domain.scores import ACCURACY
from veleta_trainer.domain.training import Training, TrainingRow
from veleta_trainer.explanations import Explanations
from veleta_trainer.interruption import completed
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import (
    EVALUATING,
    FITTING,
    FITTING_ON_CLUSTER,
    WAITING_FOR_CORES,
    FittedModel,
    Fitter,
    LoggedRun,
    Runs,
)
from veleta_trainer.state_restorer import StateRestorer
from veleta_trainer.training_planner import TrainingPlanner
from veleta_trainer.training_recorder import TrainingRecorder

MAX_ATTEMPTS = 3
"""Failed attempts at one step of a training, before it fails."""
MAX_FITS = 10
"""How often a model is fitted for one training. More than one is only needed if the trainer dies while it fits."""
IDLE_SECONDS = 0.5
"""The pause after the workflow had nothing to do."""
log = structlog.get_logger()


def left_out_warning(unreadable: Mapping[str, str]) -> str:
    """What /readyz shows of batches that the last training could not read, without those that retention deleted."""
    lost = [f"{batch}: {reason}" for batch, reason in unreadable.items() if not reason.startswith(ROWS_DELETED)]
    return f"the last training could not read {len(lost)} of its batches, such as {lost[0]}" if lost else ""


@dataclass
class TrainingSteps:
    """Runs the step that follows each state: see `domain.training`."""

    _fitter: Fitter
    _runs: Runs
    _registry: Registry
    _aliases: Aliases
    _recorder: TrainingRecorder
    _health: ServiceHealth

    async def run(self, training: Training) -> None:
        """Run the next step. Raises Retry and StateLost."""
        step_after = {
            "planned": self.fit,
            "fitted": self.register,
            "registered": self.decide,
            "decided": self.move_aliases,
            "aliased": self.finish,
        }
        await step_after[training.state](training)

    async def fit(self, training: Training) -> None:
        """Fit a model and log it as a run, unless the run was logged before a kill."""
        run = await asyncio.to_thread(self._runs.find, training.recipe)
        if run is None:
            await asyncio.to_thread(self._runs.end_open, training.recipe)
            try:
                fitted = await self._fit_model(training)
                fault_point("trainer.trained")
                run = await self._log_run(training, fitted)
                fault_point("trainer.logged")
            finally:
                self._runs.stop_logging()
        for batch, reason in run.recipe.unreadable.items():
            log.error("batch left out", request_id=training.request.request_id, batch=batch, reason=reason)
        self._health.set_warning("batches", left_out_warning(run.recipe.unreadable))
        recipe = run.recipe.model_dump(mode="json")
        columns: TrainingRow = {"state": "fitted", "run_id": run.run_id, "metrics": run.metrics, "recipe": recipe}
        await completed(self._recorder.advanced(training, columns))
        fault_point("trainer.fitted")

    async def register(self, training: Training) -> None:
        """Register the run's model as a version."""
        run, recipe = await asyncio.to_thread(self._runs.get, training.run_id), training.recipe
        tags = {
            **run.native_tags,
            "request_id": recipe.request_id,
            "dataset_digest": recipe.dataset_digest,
            "feature_digest": recipe.definition.digest,
        }
        await self._aliases.check_lease()
        version = await asyncio.to_thread(self._registry.register, training.run_id, run.source, tags)
        await self._aliases.describe(version, training)
        fault_point("trainer.created")
        measures = largest_slices(await asyncio.to_thread(self._runs.figures, training.run_id))
        profile = await asyncio.to_thread(self._profile, version)
        registered = events.registered(training, version.number, version.tags, measures, profile)
        await self._recorder.registered(training, registered)
        fault_point("trainer.registered")

    async def decide(self, training: Training) -> None:
        """Decide by the dataset's policy, and by the gates that compare the version with the champion."""
        await self._aliases.finish_move()
        recipe, champion = training.recipe, training.recipe.champion
        policy = parse_dataset(recipe.dataset_file).promotion.policy
        run = await asyncio.to_thread(self._runs.get, training.run_id)
        gates = run.gates or gates_of_metrics(training.metrics, champion)
        best = await asyncio.to_thread(self._registry.best, ACCURACY) if policy == "seed" else None
        decision = decide(policy, Challenge(training.version, champion, gates, recipe.not_compared, best))
        current = await self._aliases.champion()
        if current is None:
            await self._aliases.record_deletion()
        if current and current.number not in (champion, training.version):
            decision = champion_changed(champion, current.number)
        await self._recorder.decided(training, decision, gates)
        fault_point("trainer.decided")

    async def move_aliases(self, training: Training) -> None:
        """Set the tags and aliases in the registry."""
        await self._aliases.move(await self._recorder.promotion(training))
        await self._recorder.advanced(training, {"state": "aliased"})
        fault_point("trainer.aliased")

    async def finish(self, training: Training) -> None:
        """Publish the decision."""
        promotion = await self._recorder.promotion(training)
        version = await asyncio.to_thread(self._registry.version, training.version)
        await self._recorder.finished(training, promotion, version.tags if version else {})
        fault_point("trainer.finished")
        self._health.set_activity(f"version {training.version} was {promotion.decision}; waiting for requests")

    def _profile(self, version: Version) -> Profile | None:
        if reference := self._registry.reference(version):
            return reference.profile()
        log.warning("the run has no reference that can be read", version=version.number, run_id=version.run_id)
        return None

    async def _fit_model(self, training: Training) -> FittedModel:
        """Fit, or return what was fitted when MLflow could not store it."""
        request, champion, began, last = training.request, None, False, ("", 0)
        if training.fits >= MAX_FITS:
            raise Reject("no fit was completed", f"the trainer ended during each of {training.fits} fits")
        if training.recipe.champion is not None:
            champion = await self._champion(training.recipe.champion)

        async def report(phase: str, done: int, of: int, error: float | None) -> None:
            nonlocal began, last
            self._health.set_activity(f"training for {request.request_id}: {phase} {done} of {of}")
            self._health.set_warning("spark", f"{NO_CORES}: the training waits" if phase == WAITING_FOR_CORES else "")
            if (phase, done) == last:
                return
            try:
                if phase == EVALUATING:
                    await asyncio.to_thread(self._runs.prepare_logging)
                if phase in (FITTING, FITTING_ON_CLUSTER) and not began:
                    await self._recorder.fit_began(training)
                    began = True
                await self._recorder.progress(request, phase, done, of, error)
                last = phase, done
            except Retry as unavailable:
                log.warning("progress not published", reason=str(unavailable))

        try:
            return await self._fitter.fit(training.recipe, champion, lambda *progress: completed(report(*progress)))
        finally:
            self._health.set_warning("spark", "")

    async def _champion(self, number: int) -> Version | None:
        """The champion to compare with. Of a version that was deleted, the run may still have the model."""
        if version := await asyncio.to_thread(self._registry.version, number):
            return version
        training = await self._recorder.training_of(number)
        if training is None:
            return None
        try:
            run = await asyncio.to_thread(self._runs.get, training.run_id)
        except Retry:
            raise
        except Exception as error:  # noqa: BLE001 - MLflow refuses: the run is gone too
            log.warning("the run of the champion cannot be read", version=number, reason=str(error))
            return None
        return Version(number, run.run_id, run.native_tags)

    async def _log_run(self, training: Training, fitted: FittedModel) -> LoggedRun:
        """Log the run. The model is not fitted again unless it cannot be logged whatever MLflow does."""
        self._health.set_activity(f"training for {training.request.request_id}: logging the run")
        try:
            logged = asyncio.to_thread(self._runs.log, training.recipe, fitted)
            return await completed(logged, self._runs.stop_logging)
        except Retry:
            raise
        except Exception:
            await self._fitter.discard()
            raise


@dataclass
class TrainingWorkflow:
    """Advances the training in progress by one step, or plans the next one.

    Whoever holds `exclusive` may decide: the workflow in each step but the fit, and the handler of commands.
    """

    _planner: TrainingPlanner
    _steps: TrainingSteps
    _recorder: TrainingRecorder
    _restorer: StateRestorer
    _transactions: FencedTransactions
    _explanations: Explanations
    _health: ServiceHealth
    exclusive: asyncio.Lock = field(default_factory=asyncio.Lock)
    _fitting: asyncio.Task[bool] | None = None

    async def run(self) -> None:
        """Work until the service stops. Waits for unavailable dependencies, and for the lease."""
        await self._health.retry_until_available(self.take_over)
        self._health.set_activity("waiting for requests")
        while await self._health.sleep(IDLE_SECONDS):
            while not self._health.stopping.is_set() and await self._health.retry_until_available(self.advance):
                pass

    async def take_over(self) -> None:
        """Acquire the lease. Raises Retry."""
        await self._restorer.run(self._transactions.begin_step)
        self._explanations.request()

    async def advance(self) -> bool:
        """Run one step. Returns False if there was nothing to do. Raises Retry; then the step must be repeated."""
        return await self._restorer.run(self._advance)

    async def interrupt(self) -> None:
        """End the fit in progress, if there is one: its step returns without a result."""
        fitting, self._fitting = self._fitting, None
        if fitting:
            fitting.cancel()
            await asyncio.wait({fitting})

    async def _advance(self) -> bool:
        async with self.exclusive:
            await self._transactions.begin_step()
            await self._recorder.publish()
            training = await self._transactions.run(lambda uow: uow.trainings.active())
            if training and training.state == "planned":
                fitting = self._fitting = asyncio.create_task(self._run_step(training))
            else:
                advanced = await self._run_step(training) if training else await self._plan()
                await self._recorder.publish()
                if training and training.state == "aliased":
                    self._explanations.request()
                return advanced
        return await self._fitted(fitting)

    async def _fitted(self, fitting: asyncio.Task[bool]) -> bool:
        """Wait for the fit. Commands are handled meanwhile, and may interrupt it."""
        try:
            await fitting
        except asyncio.CancelledError:
            if self._fitting is fitting:
                raise
            self._health.set_activity("the training was interrupted; waiting for requests")
        self._fitting = None
        await self._recorder.publish()
        return True

    async def _run_step(self, training: Training) -> bool:
        try:
            await self._steps.run(training)
        except (Retry, StateLost):
            raise
        except Exception as error:
            log.exception("training failed", request_id=training.request.request_id, state=training.state)
            attempts = training.attempts + 1
            if attempts >= MAX_ATTEMPTS or isinstance(error, Reject):
                await self._recorder.failed(training, error)
                self._health.set_activity(f"training for {training.request.request_id} failed; waiting for requests")
            else:
                await self._recorder.attempt_failed(training)
                await self._health.sleep(attempts)
        return True

    async def _plan(self) -> bool:
        """Plan. On an unexpected error the requests stay waiting, because they are not its cause."""
        try:
            return await self._planner.plan_next()
        except (Retry, StateLost):
            raise
        except Exception as error:
            log.exception("planning failed")
            raise Retry("planning", error) from error
