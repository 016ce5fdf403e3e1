"""Handles training requests: each waits in PIPELINE.trainings for the training workflow."""

from veleta.clock import Clock
from veleta.errors import Reject
from veleta.events.catalogue import MAX_ID_LENGTH, BatchClosed, RetrainRequested
from veleta.events.envelope import Event, caused_event, encode
from veleta.topics import topic
from veleta_trainer.domain.replay import request_of
from veleta_trainer.ports import TrainerUnitOfWork

SERVICE = "trainer"


class RequestHandler:
    """The handler of `retrain`, and of `batches` while a training has failed and no version is promoted."""

    event_types = (RetrainRequested, BatchClosed)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def prepare(self, event: Event) -> None:
        """Nothing to prepare."""

    def apply(self, event: Event, prepared: None, uow: TrainerUnitOfWork) -> None:  # noqa: ARG002 - the contract of a handler
        """Insert a request. After a failed training each batch causes a new one, until there is a champion."""
        match event.payload:
            case RetrainRequested() if len(event.id) > MAX_ID_LENGTH:
                raise Reject("the id is too long", event.id)
            case RetrainRequested() as request:
                uow.trainings.add(request_of(event, request), event.time)
            case BatchClosed() as manifest if not uow.promotions.champion() and uow.trainings.needs_new_request():
                request = RetrainRequested(
                    dataset=manifest.dataset,
                    epoch=manifest.epoch,
                    number=manifest.number,
                    reason="no version is promoted yet",
                    first=False,
                    batches=[manifest.batch],
                )
                due = caused_event(event, f"{manifest.batch}/due", SERVICE, self._clock(), request)
                uow.outbox.append(encode(topic(manifest.dataset, "retrain"), due))

    def on_dead_letter(self, event: Event, error: Exception, uow: TrainerUnitOfWork) -> None:
        """The dead letter is enough: a request that was not inserted has no row."""
