"""The training cycle: one training at a time, each step kept before the next, so that a kill anywhere is resumed.

waiting ─► planned ─► fitted ─► registered ─► decided ─► aliased ─► finished
            recipe    run id     version        seq      MLflow     events
waiting ─► merged, skipped                 any step, after three tries ─► failed
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from veleta.batches import BatchReader, batch_manifests, read_events
from veleta.clock import Clock, for_sql
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry, StateLost
from veleta.events.catalogue import (
    BatchClosed,
    Payload,
    TrainingFailed,
    TrainingMerged,
    TrainingProgress,
    TrainingSkipped,
    TrainingStarted,
)
from veleta.events.envelope import Event, encode
from veleta.faults import fault_point
from veleta.features import FEATURE_VERSION
from veleta.ports import NATIVE, EventLog, Registry, T, Version
from veleta.processing.dead_letters import DeadLetters
from veleta.processing.outbox import OutboxPublisher
from veleta.service.health import ServiceHealth
from veleta.topics import TopicName, topic
from veleta_trainer.aliases import Aliases
from veleta_trainer.domain import events
from veleta_trainer.domain.decision import decide, overtaken
from veleta_trainer.domain.recipe import Recipe, beyond
from veleta_trainer.domain.training import Request, Training, plan
from veleta_trainer.fenced import Fenced
from veleta_trainer.handlers import SERVICE
from veleta_trainer.ports import Fitted, Fitting, Runs, TrainerUnitOfWork

ATTEMPTS = 3
"""How often a training is tried before it is given up."""
IDLE_SECONDS = 0.5
RECONCILE_SECONDS = 30.0
"""How often the aliases are compared with the decisions while nothing is to be done."""
log = structlog.get_logger()


class Cycle:
    """Carries requests through to their ends."""

    def __init__(
        self,
        dataset: Dataset,
        event_log: EventLog,
        transactions: Fenced,
        publisher: OutboxPublisher,
        restore: Callable[[], Awaitable[None]],
        registry: Registry,
        aliases: Aliases,
        runs: Runs,
        fitting: Fitting,
        params: dict[str, str | int | float],
        libraries: dict[str, str],
        health: ServiceHealth,
        clock: Clock,
    ) -> None:
        """`restore` fills tables that were wiped from the topics; it raises Retry."""
        self._dataset = dataset
        self._log = event_log
        self._reader = BatchReader(event_log)
        self._transactions = transactions
        self._publisher = publisher
        self._restore = restore
        self._registry = registry
        self._aliases = aliases
        self._reconciled = 0.0
        self._runs = runs
        self._fitting = fitting
        self._params = params
        self._libraries = libraries
        self._health = health
        self._clock = clock
        self._dead_letters = DeadLetters(SERVICE, dataset.name, clock)
        self._steps: dict[str, Callable[[Training], Awaitable[None]]] = {
            "planned": self._fit,
            "fitted": self._register,
            "registered": self._decide,
            "decided": self._move_aliases,
            "aliased": self._finish,
        }

    async def run(self) -> None:
        """Work until the service stops."""
        await self._health.retry_until_available(self._take_over)
        while await self._health.sleep(IDLE_SECONDS):
            while not self._health.stopping.is_set() and await self._health.retry_until_available(self.step):
                pass

    async def _take_over(self) -> None:
        """What the trainer before this one left open is ended, once this one may act."""
        await self._restoring(self._transactions.check)
        await asyncio.to_thread(self._runs.end_open)

    async def step(self) -> bool:
        """Bring the training under way one step on, or plan the next one: False when there is nothing to do.

        Raises Retry while something is away, or another trainer acts; the step is then done again.
        """
        return await self._restoring(self._step)

    async def _restoring(self, call: Callable[[], Awaitable[T]]) -> T:
        """Do `call`; when the tables were wiped, fill them from the topics and do it again."""
        try:
            return await call()
        except StateLost as error:
            log.warning("restoring", reason=str(error))
            self._health.set_activity("comparing the tables with the topics")
            await self._restore()
        try:
            return await call()
        except StateLost as error:
            raise Retry("mysql", error) from error

    async def _step(self) -> bool:
        await self._publisher.publish_pending()
        training = await self._transactions.run(lambda uow: uow.trainings.under_way())
        if training is None:
            planned = await self._plan_or_wait()
            await self._publisher.publish_pending()
            return planned
        try:
            await self._steps[training.state](training)
        except (Retry, StateLost):
            raise
        except Exception as error:
            log.exception("training failed", request_id=training.request.request_id, state=training.state)
            await self._try_again_or_fail(training, error)
        await self._publisher.publish_pending()
        return True

    async def _plan_or_wait(self) -> bool:
        """Requests that cannot be planned for go on waiting, and /readyz says why: they are not to blame."""
        try:
            return await self._plan()
        except (Retry, StateLost):
            raise
        except Exception as error:
            log.exception("planning failed")
            raise Retry("planning", error) from error

    async def _plan(self) -> bool:
        waiting = await self._transactions.run(lambda uow: uow.trainings.waiting())
        if waiting or time.monotonic() - self._reconciled > RECONCILE_SECONDS:
            await self._aliases.reconcile()
            self._reconciled = time.monotonic()
        if not waiting:
            return False
        champion = await self._aliases.champion()
        due = plan(waiting, champion=champion is not None)
        recipe = await self._recipe(due.train, champion) if due.train else None

        now = self._clock()

        def transaction(uow: TrainerUnitOfWork) -> None:
            for request in due.skip:
                reason = f"{request.reason}, and version {champion.number if champion else '?'} is the champion"
                self._end(uow, request, "skipped", TrainingSkipped(request_id=request.request_id, reason=reason))
            if due.train is None:
                return
            lead = due.train
            for request in due.merge:
                ended = TrainingMerged(request_id=request.request_id, into=lead.request_id)
                self._end(uow, request, "merged", ended, merged_into=lead.request_id)
            if recipe is None:
                self._give_up(uow, lead, Reject("no batch of this epoch can be read"))
                return
            kept = recipe.model_dump(mode="json")
            self._write(uow, lead, state="planned", recipe=kept, started_at=for_sql(now))
            started = TrainingStarted(request_id=lead.request_id, recipe=kept)
            self._send(uow, "training", lead, "started", started, now)

        await self._transactions.run(transaction)
        fault_point("trainer.planned")
        return True

    async def _recipe(self, request: Request, champion: Version | None) -> Recipe | None:
        batches = await asyncio.to_thread(self._readable_batches, request)
        if not batches:
            return None
        number = champion.number if champion else None
        before = None
        if number is not None:
            before = await self._transactions.run(lambda uow: uow.trainings.recipe_of(number))
        return Recipe(
            request_id=request.request_id,
            dataset=self._dataset.name,
            dataset_digest=self._dataset.digest,
            dataset_file=self._dataset.text,
            feature_version=FEATURE_VERSION,
            batches=batches,
            more_holdout=beyond(batches, [*before.batches, *before.more_holdout]) if before else [],
            champion=number,
            params=self._params,
            libraries=self._libraries,
        )

    def _readable_batches(self, request: Request) -> list[BatchClosed]:
        """The closed batches of the epoch up to the request's, but for those that do not match their manifest."""
        closed = batch_manifests(read_events(self._log, self._dataset.name))
        found = [e.payload for key, e in sorted(closed.items()) if key[0] == request.epoch and key[1] <= request.number]
        return [b for b in found if isinstance(b, BatchClosed) and self._readable(b)]

    def _readable(self, manifest: BatchClosed) -> bool:
        try:
            for _ in self._reader.chunks(manifest):
                self._health.heartbeat()
        except Reject as error:
            log.error("batch left out", batch=manifest.batch, reason=str(error))  # noqa: TRY400 - no fault of ours
            return False
        return True

    async def _fit(self, training: Training) -> None:
        """Nothing is learnt twice: a run that was kept before a kill is found again."""
        request = training.request
        logged = await asyncio.to_thread(self._runs.find, request.request_id)
        if logged is None:
            fitted = await self._learn(training)
            fault_point("trainer.learnt")
            self._health.set_activity(f"training for {request.request_id}: keeping the run")
            logged = await asyncio.to_thread(self._runs.log, training.recipe, fitted)
            fault_point("trainer.logged")
        await self._keep(request, state="fitted", run_id=logged.run_id, metrics=logged.metrics)
        fault_point("trainer.fitted")

    async def _learn(self, training: Training) -> Fitted:
        request, recipe = training.request, training.recipe
        champion = None
        if recipe.champion is not None:
            champion = await asyncio.to_thread(self._registry.version, recipe.champion)

        async def progress(phase: str, done: int, of: int, error: float | None) -> None:
            self._health.set_activity(f"training for {request.request_id}: {phase} {done} of {of}")
            said = TrainingProgress(request_id=request.request_id, phase=phase, done=done, of=of, error=error)
            what = f"progress/{phase}/{done}"
            try:
                await self._transactions.run(lambda uow: self._send(uow, "training", request, what, said))
                await self._publisher.publish_pending()
            except Retry as away:
                log.warning("progress not told", reason=str(away))

        return await self._fitting.fit(recipe, champion, progress)

    async def _register(self, training: Training) -> None:
        request = training.request
        logged = await asyncio.to_thread(self._runs.get, training.run_id)
        tags = {
            NATIVE: logged.native,
            "request_id": request.request_id,
            "dataset_digest": training.recipe.dataset_digest,
        }
        version = await asyncio.to_thread(self._registry.register, training.run_id, logged.source, tags)
        fault_point("trainer.created")
        said = events.registered(training, version.number, logged.native)

        def transaction(uow: TrainerUnitOfWork) -> None:
            self._write(uow, request, state="registered", version=version.number)
            self._send(uow, "models", request, "registered", said)

        await self._transactions.run(transaction)
        fault_point("trainer.registered")

    async def _decide(self, training: Training) -> None:
        request, metrics, champion = training.request, training.metrics or {}, training.recipe.champion
        decision = decide(metrics["mae"], champion, metrics.get("champion_mae"), int(metrics["holdout_rows"]))
        found = await self._aliases.champion()
        if found and found.number not in (champion, training.version):
            decision = overtaken(champion, found.number)

        def transaction(uow: TrainerUnitOfWork) -> None:
            self._write(uow, request, state="decided")
            uow.trainings.decide(
                version=training.version,
                previous=champion,
                decision=decision.outcome,
                reason=decision.reason,
                actor=SERVICE,
                cause=request.request_id,
                decided_at=for_sql(self._clock()),
            )

        await self._transactions.run(transaction)
        fault_point("trainer.decided")

    async def _move_aliases(self, training: Training) -> None:
        await self._aliases.move(training)
        await self._keep(training.request, state="aliased")
        fault_point("trainer.aliased")

    async def _finish(self, training: Training) -> None:
        request, version = training.request, training.version
        found = await asyncio.to_thread(self._registry.version, version)
        decided = events.decided(training, found.tags[NATIVE] if found else "")

        def transaction(uow: TrainerUnitOfWork) -> None:
            what = decided.TYPE.removeprefix("model.")
            self._send(uow, "models", request, what, decided, training.decided_at)
            self._end(uow, request, "finished", events.finished(training))

        await self._transactions.run(transaction)
        fault_point("trainer.finished")
        self._health.set_activity(f"version {version} was {training.decision}; waiting for requests")

    async def _try_again_or_fail(self, training: Training, error: Exception) -> None:
        request, attempts = training.request, training.attempts + 1
        if attempts < ATTEMPTS and not isinstance(error, Reject):
            await self._keep(request, attempts=attempts)
            await self._health.sleep(attempts)
            return
        await self._transactions.run(lambda uow: self._give_up(uow, request, error))

    def _give_up(self, uow: TrainerUnitOfWork, request: Request, error: Exception) -> None:
        failed = TrainingFailed(request_id=request.request_id, reason=str(error))
        self._end(uow, request, "failed", failed, failure=str(error))
        reason = error.reason if isinstance(error, Reject) else type(error).__name__
        asked = events.asked(request, self._dataset.name)
        event = Event(request.request_id, "drift", self._clock(), asked, cause=request.cause, trace=request.trace)
        message = encode(topic(self._dataset.name, "retrain"), event)
        uow.outbox.append(self._dead_letters.message(reason, error, message))

    def _end(self, uow: TrainerUnitOfWork, request: Request, state: str, said: Payload, **values: Any) -> None:
        now = self._clock()
        self._write(uow, request, state=state, attempts=0, ended_at=for_sql(now), **values)
        self._send(uow, "training", request, state, said, now)

    def _write(self, uow: TrainerUnitOfWork, request: Request, **values: Any) -> None:
        uow.trainings.write(request.request_id, **values)

    async def _keep(self, request: Request, **values: Any) -> None:
        await self._transactions.run(lambda uow: self._write(uow, request, **values))

    def _send(
        self,
        uow: TrainerUnitOfWork,
        name: TopicName,
        request: Request,
        what: str,
        payload: Payload,
        at: datetime | None = None,
    ) -> None:
        event_id = f"{request.request_id}/{what}"
        cause = request.request_id if what == "started" else f"{request.request_id}/started"
        event = Event(event_id, SERVICE, at or self._clock(), payload, cause=cause, trace=request.trace)
        uow.outbox.append(encode(topic(self._dataset.name, name), event))
