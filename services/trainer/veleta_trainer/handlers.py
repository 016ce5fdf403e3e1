"""What the trainer does with a request: it waits its turn in the log of intent."""

from collections.abc import Callable

from veleta.events.catalogue import RetrainRequested
from veleta.events.envelope import Event
from veleta.ports import Work
from veleta_trainer.domain.training import Request
from veleta_trainer.ports import Trainings


class Requests:
    """The handler of `retrain`."""

    takes = (RetrainRequested,)

    def __init__(self, trainings: Callable[[Work], Trainings]) -> None:
        self._trainings = trainings

    def prepare(self, event: Event) -> Request:
        """The request as the log of intent keeps it."""
        asked = event.payload
        if not isinstance(asked, RetrainRequested):
            raise TypeError(f"{event.type} is no request")
        return Request(
            request_id=event.id,
            epoch=asked.epoch,
            number=asked.number,
            reason=asked.reason,
            first=asked.first,
            batches=asked.batches,
            cause=event.cause,
            trace=event.trace,
        )

    def apply(self, event: Event, prepared: Request, work: Work) -> None:
        """Let it wait."""
        self._trainings(work).add(prepared, event.time)

    def refuse(self, event: Event, error: Exception, work: Work) -> None:
        """A request that cannot even wait has no line; the dead letter tells of it."""
