"""Stores what happens to trainings: the new state and its events, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from veleta.clock import Clock
from veleta.commands import PendingCommand, reply_event
from veleta.errors import Reject, StateLost
from veleta.events import catalogue
from veleta.events.catalogue import BatchClosed, ModelPayload, Payload
from veleta.events.envelope import Event, encode, trace_of
from veleta.ports import Version
from veleta.processing.dead_letters import DeadLetters
from veleta.processing.outbox import OutboxPublisher
from veleta.topics import TopicName, topic
from veleta_trainer.domain import commanded_promotion, events, manual_promotion
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.decision import Decision
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.replay import request_of
from veleta_trainer.domain.training import (
    Plan,
    PromotionRow,
    State,
    Training,
    TrainingRequest,
    TrainingRow,
    advance,
    profile_column,
)
from veleta_trainer.handlers import SERVICE
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import TrainerUnitOfWork

REQUESTED = "/requested"
"""The end of the id of a training request that a person sent."""


@dataclass
class TrainingRecorder:
    """Writes PIPELINE.trainings, promotions and evaluations, and the trainer's events.

    Its methods raise Retry and StateLost.
    """

    _dataset: str
    _transactions: FencedTransactions
    _publisher: OutboxPublisher
    _clock: Clock

    async def publish(self) -> None:
        """Publish the stored events."""
        await self._publisher.publish_pending()

    async def planned(self, plan: Plan, recipe: Recipe | Reject | None, champion: int | None) -> None:
        """Store what becomes of the waiting requests. A request without a recipe fails alone: the others wait on."""

        def transaction(uow: TrainerUnitOfWork) -> None:
            for request in plan.skip:
                reason = f"{request.reason}, and version {champion or '?'} is the champion"
                skipped = catalogue.TrainingSkipped(request_id=request.request_id, reason=reason)
                self._store(uow, request, "waiting", {"state": "skipped"}, skipped)
            if plan.train is None or recipe is None:
                return
            if isinstance(recipe, Reject):
                self._store_failure(uow, plan.train, "waiting", recipe)
                return
            lead = plan.train.request_id
            for request in plan.merge:
                merged = catalogue.TrainingMerged(request_id=request.request_id, into=lead)
                self._store(uow, request, "waiting", {"state": "merged", "merged_into": lead}, merged)
            document = recipe.model_dump(mode="json")
            started = catalogue.TrainingStarted(request_id=lead, recipe=document)
            self._store(uow, plan.train, "waiting", {"state": "planned", "recipe": document}, started)

        await self._transactions.run(transaction)

    async def request(self, manifest: BatchClosed, champion: int, reason: str) -> None:
        """Request a training for a batch, once for each champion."""
        request_id = f"{manifest.batch}/features/{champion}"
        payload = self._retrain_requested(manifest, reason)
        event = Event(request_id, SERVICE, self._clock(), payload, trace=trace_of(request_id))

        def transaction(uow: TrainerUnitOfWork) -> None:
            if not uow.trainings.exists(request_id):
                uow.trainings.add(request_of(event, payload), event.time)
                uow.outbox.append(encode(topic(self._dataset, "retrain"), event))

        await self._transactions.run(transaction)

    async def advanced(self, training: Training, columns: TrainingRow, *payloads: Payload) -> None:
        """Store the new state of a training with its other new columns and its events."""
        request, before = training.request, training.state
        await self._transactions.run(lambda uow: self._store(uow, request, before, columns, *payloads))

    async def registered(self, training: Training, registered: catalogue.ModelRegistered) -> None:
        """Store the version of a training with what was measured, and its event."""

        def transaction(uow: TrainerUnitOfWork) -> None:
            columns: TrainingRow = {"state": "registered", "version": registered.version, **profile_column(registered)}
            self._store(uow, training.request, training.state, columns, registered)
            uow.evaluations.replace(registered.version, registered.measures)

        await self._transactions.run(transaction)

    async def progress(self, request: TrainingRequest, phase: str, done: int, of: int, error: float | None) -> None:
        """Publish the progress of fitting."""
        payload = catalogue.TrainingProgress(request_id=request.request_id, phase=phase, done=done, of=of, error=error)
        name = f"progress/{phase}/{done}"
        await self._transactions.run(lambda uow: self._append_event(uow, request, payload, self._clock(), name))
        await self.publish()

    async def decided(self, training: Training, decision: Decision, gates: Sequence[Check]) -> None:
        """Store the decision on a version, with what the gates found."""
        promotion = PromotionRow(
            version=training.version,
            previous=training.recipe.champion,
            decision=decision.outcome,
            reason=decision.reason,
            actor=SERVICE,
            cause=training.request.request_id,
            decided_at=self._clock(),
            gates=tuple(gates),
        )

        def transaction(uow: TrainerUnitOfWork) -> None:
            self._store(uow, training.request, training.state, {"state": "decided"})
            uow.promotions.append(promotion)

        await self._transactions.run(transaction)

    async def promotion(self, training: Training) -> PromotionRow:
        """The stored decision. Raises StateLost if it is missing."""
        request_id = training.request.request_id
        promotion = await self._transactions.run(lambda uow: uow.promotions.of_request(request_id))
        if promotion is None:
            raise StateLost(f"the decision on {request_id} is missing")
        return promotion

    async def finished(self, training: Training, promotion: PromotionRow, tags: Mapping[str, str]) -> None:
        """Store the end of a training, and publish its decision. `tags` are those of the version."""
        request, finished = training.request, events.finished(training, promotion)

        def transaction(uow: TrainerUnitOfWork) -> None:
            self._append_event(uow, request, events.decided(training, promotion, tags), promotion.decided_at)
            self._store(uow, request, training.state, {"state": "finished"}, finished)

        await self._transactions.run(transaction)

    async def fit_began(self, training: Training) -> None:
        """Count that fitting began."""
        request_id, fits = training.request.request_id, training.fits + 1
        await self._transactions.run(lambda uow: uow.trainings.update(request_id, {"fits": fits}))

    async def attempt_failed(self, training: Training) -> None:
        """Count a failed attempt at a step that will be repeated."""
        request_id, attempts = training.request.request_id, training.attempts + 1
        await self._transactions.run(lambda uow: uow.trainings.update(request_id, {"attempts": attempts}))

    async def failed(self, training: Training, error: Exception) -> None:
        """Store the end of a training without a version. Its request becomes a dead letter."""
        await self._transactions.run(lambda uow: self._store_failure(uow, training.request, training.state, error))

    async def decide_manually(self, version: Version, last: PromotionRow | None) -> PromotionRow:
        """The next decision, which an alias moved by hand implies. `last` made the champion before."""
        seq = await self._transactions.run(lambda uow: uow.promotions.last_seq())
        return replace(manual_promotion.promotion(version, last, self._clock()), seq=(seq or 0) + 1)

    async def promoted_manually(self, version: Version, promotion: PromotionRow) -> PromotionRow:
        """Store the decision on a version whose alias was moved by hand, with its event."""

        def transaction(uow: TrainerUnitOfWork) -> PromotionRow:
            stored, training = uow.promotions.append(promotion), uow.trainings.of_version(version.number)
            payload = manual_promotion.promoted(self._dataset, version, stored, training)
            event_id = manual_promotion.event_id(self._dataset, stored.seq)
            event = Event(event_id, SERVICE, stored.decided_at, payload)
            uow.outbox.append(encode(topic(self._dataset, "models"), event))
            return stored

        return await self._transactions.run(transaction)

    async def request_by_command(self, command: PendingCommand, manifest: BatchClosed, effect: str) -> None:
        """Insert the training request of a person, with its event and the reply. Its id begins with the command's."""
        sent = command.command
        reason = f"by {sent.actor}: {sent.reason}" if sent.reason else f"by {sent.actor}"
        payload = self._retrain_requested(manifest, reason)
        trace = trace_of(command.id)
        request_id = f"{command.id}{REQUESTED}"
        event = Event(request_id, SERVICE, self._clock(), payload, cause=command.id, trace=trace)

        def transaction(uow: TrainerUnitOfWork) -> None:
            uow.trainings.add(request_of(event, payload), event.time)
            uow.outbox.append(encode(topic(self._dataset, "retrain"), event))
            self._append_reply(uow, command.id, effect)

        await self._transactions.run(transaction)

    async def decided_by_command(self, promotion: PromotionRow) -> PromotionRow:
        """Store the decision of a command, once."""
        return await self._transactions.run(lambda uow: uow.promotions.append(promotion))

    async def promoted_by_command(self, version: Version | None, promotion: PromotionRow, effect: str) -> None:
        """Publish the decision of a command, unless its version was deleted meanwhile, and the reply."""

        def transaction(uow: TrainerUnitOfWork) -> None:
            if version:
                training = uow.trainings.of_version(version.number)
                payload = commanded_promotion.promoted(self._dataset, version, promotion, training)
                event = Event(
                    f"{promotion.cause}/promoted",
                    SERVICE,
                    promotion.decided_at,
                    payload,
                    cause=promotion.cause,
                    trace=trace_of(promotion.cause or ""),
                )
                uow.outbox.append(encode(topic(self._dataset, "models"), event))
            self._append_reply(uow, promotion.cause or "", effect)

        await self._transactions.run(transaction)

    async def cancelled(self, training: Training, command: PendingCommand, effect: str) -> None:
        """Store that a training was cancelled, with the reply. Its request becomes no dead letter."""
        sent = command.command
        reason = f"cancelled by {sent.actor}" + (f": {sent.reason}" if sent.reason else "")
        failed = catalogue.TrainingFailed(request_id=training.request.request_id, reason=reason)

        def transaction(uow: TrainerUnitOfWork) -> None:
            self._store(uow, training.request, training.state, {"state": "failed", "failure": reason}, failed)
            self._append_reply(uow, command.id, effect)

        await self._transactions.run(transaction)

    async def replied(self, command_id: str, text: str, *, accepted: bool) -> None:
        """Store the reply to a command that changes nothing."""
        await self._transactions.run(lambda uow: self._append_reply(uow, command_id, text, accepted=accepted))

    async def training_of(self, version: int) -> Training | None:
        """The training that made a version."""
        return await self._transactions.run(lambda uow: uow.trainings.of_version(version))

    async def deleted(self, champion: PromotionRow) -> None:
        """Store once that the version of the champion was deleted in the registry."""
        promotion = manual_promotion.deletion(champion, self._clock())

        def transaction(uow: TrainerUnitOfWork) -> None:
            if not uow.promotions.has_deletion(champion):
                uow.promotions.append(promotion)

        await self._transactions.run(transaction)

    def _store(
        self, uow: TrainerUnitOfWork, request: TrainingRequest, before: State, columns: TrainingRow, *payloads: Payload
    ) -> None:
        now = self._clock()
        uow.trainings.update(request.request_id, advance(before, columns, now))
        for payload in payloads:
            self._append_event(uow, request, payload, now)

    def _store_failure(self, uow: TrainerUnitOfWork, request: TrainingRequest, before: State, error: Exception) -> None:
        failed = catalogue.TrainingFailed(request_id=request.request_id, reason=str(error))
        self._store(uow, request, before, {"state": "failed", "failure": str(error)}, failed)
        requested = events.requested(request, self._dataset)
        event = Event(request.request_id, "drift", self._clock(), requested, cause=request.cause, trace=request.trace)
        reason = error.reason if isinstance(error, Reject) else type(error).__name__
        message = encode(topic(self._dataset, "retrain"), event)
        uow.outbox.append(DeadLetters(SERVICE, self._dataset, self._clock).message(reason, error, message))

    def _retrain_requested(self, manifest: BatchClosed, reason: str) -> catalogue.RetrainRequested:
        return catalogue.RetrainRequested(
            dataset=self._dataset,
            epoch=manifest.epoch,
            number=manifest.number,
            reason=reason,
            first=False,
            batches=[manifest.batch],
        )

    def _append_reply(self, uow: TrainerUnitOfWork, command_id: str, text: str, *, accepted: bool = True) -> None:
        event = reply_event(self._dataset, SERVICE, command_id, text, accepted=accepted, time=self._clock())
        uow.outbox.append(encode(topic(self._dataset, "commands"), event))

    def _append_event(
        self, uow: TrainerUnitOfWork, request: TrainingRequest, payload: Payload, at: datetime, name: str = ""
    ) -> None:
        """Append an event to the outbox. Its id is `<request>/<name>`; by default the name is the end of its type."""
        started = f"{request.request_id}/started"
        event_id = f"{request.request_id}/{name or payload.TYPE.partition('.')[2]}"
        cause = request.request_id if event_id == started else started
        topic_name: TopicName = "models" if isinstance(payload, ModelPayload) else "training"
        event = Event(event_id, SERVICE, at, payload, cause=cause, trace=request.trace)
        uow.outbox.append(encode(topic(self._dataset, topic_name), event))
