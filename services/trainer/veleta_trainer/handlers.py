"""What the trainer does with a request: it waits its turn in the log of intent."""

from veleta.clock import Clock
from veleta.events.catalogue import BatchClosed, RetrainRequested
from veleta.events.envelope import Event, caused_event, encode
from veleta.topics import topic
from veleta_trainer.domain.replay import asked
from veleta_trainer.ports import TrainerUnitOfWork

SERVICE = "trainer"


class Requests:
    """The handler of `retrain`, and of `batches` as long as a training failed and there is no champion."""

    event_types = (RetrainRequested, BatchClosed)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def prepare(self, event: Event) -> None:
        """Nothing needs to be read."""

    def apply(self, event: Event, prepared: None, uow: TrainerUnitOfWork) -> None:  # noqa: ARG002 - the contract of a handler
        """Let a request wait; after a failed training each batch asks for another one until there is a champion."""
        trainings = uow.trainings
        match event.payload:
            case RetrainRequested() as request:
                trainings.add(asked(event, request), event.time)
            case BatchClosed() as manifest if trainings.champion() is None and trainings.given_up():
                due = RetrainRequested(
                    dataset=manifest.dataset,
                    epoch=manifest.epoch,
                    number=manifest.number,
                    reason="no version is promoted yet",
                    first=False,
                    batches=[manifest.batch],
                )
                again = caused_event(event, f"{manifest.batch}/due", SERVICE, self._clock(), due)
                uow.outbox.append(encode(topic(manifest.dataset, "retrain"), again))

    def on_dead_letter(self, event: Event, error: Exception, uow: TrainerUnitOfWork) -> None:
        """A request that cannot even wait has no line; the dead letter tells of it."""
