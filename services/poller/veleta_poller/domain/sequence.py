"""Where a batch belongs in the sequence of batches, given its number, its digest and the last batch."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from veleta.events.catalogue import BatchClosed, BatchMissed, BatchPayload, DatasetDeclared, Payload

MAX_BATCH_NUMBER = 9_999
"""A greater number is an error of the API: an event is published for each batch number that is skipped."""


class BatchId(NamedTuple):
    """Identifies a batch of the dataset. A later batch has a greater id."""

    epoch: int
    number: int


@dataclass(frozen=True)
class Position:
    """The last batch that was published or missed. Epoch 0: there is none.

    `digest` is that of its rows. It is empty if the batch was missed.
    """

    epoch: int = 0
    number: int = -1
    digest: str = ""

    @property
    def batch(self) -> BatchId:
        """The id of the last batch."""
        return BatchId(self.epoch, self.number)

    @property
    def next(self) -> BatchId:
        """The id of the batch that is expected next in this epoch."""
        return BatchId(max(self.epoch, 1), self.number + 1)


@dataclass(frozen=True)
class Placement:
    """The id that a received batch gets. `repeated`: it is the last batch again and must not be published.

    `missed` are the batches that were skipped before it. `finding` describes an irregular sequence.
    """

    batch: BatchId
    missed: tuple[BatchId, ...] = ()
    finding: str = ""
    repeated: bool = False


def place_batch(position: Position, number: int, digest: str, restarting: bool) -> Placement:
    """Where batch `number` belongs after `position`; `restarting`: the poller has restarted the API."""
    last, epoch, first, finding = position.number, position.epoch + 1, 0, ""
    if position.epoch == 0 or (restarting and number == 0):
        pass
    elif restarting:
        finding = f"batch {number}, not 0, came after the restart"
    elif number > last:
        epoch, first = position.epoch, last + 1
        finding = f"batch {number} has the same rows as batch {last}" if digest == position.digest else ""
    elif number < last:
        finding = f"another client restarted the API: batch {number} came after {last}"
    elif digest == position.digest:
        return Placement(position.batch, finding=f"batch {number} came twice", repeated=True)
    else:
        finding = f"another client restarted the API: batch {number} came again with other rows"
    missed = tuple(BatchId(epoch, skipped) for skipped in range(first, number))
    return Placement(BatchId(epoch, number), missed, finding)


def latest(one: Position, other: Position) -> Position:
    """The later position; `other` if both have the same batch."""
    return one if one.batch > other.batch else other


@dataclass(frozen=True)
class TopicState:
    """What the topic `batches` has before the offset `next_offset`: the position, and the declarations of the dataset.

    The position is that of the latest batch that was closed or missed. `declared` is the last declared digest. `group`
    is that of the last closed batch, which is None in manifests of earlier versions.
    """

    next_offset: int = 0
    position: Position = field(default_factory=Position)
    declarations: int = 0
    declared: str = ""
    group: int | None = None

    def follows(self, payload: Payload) -> bool:
        """Whether its epoch is at most one more than the last. A topic begins with any epoch."""
        if not isinstance(payload, BatchPayload):
            return True
        begins = self.position == Position()
        return payload.number <= MAX_BATCH_NUMBER and (begins or payload.epoch <= self.position.epoch + 1)

    def after(self, payload: Payload) -> Self:
        """The state after one more event. One that does not follow changes nothing. `next_offset` stays."""
        if not self.follows(payload):
            return self
        match payload:
            case BatchClosed():
                state = self._at(Position(payload.epoch, payload.number, payload.digest))
                return replace(state, group=payload.group)
            case BatchMissed():
                return self._at(Position(payload.epoch, payload.number))
            case DatasetDeclared():
                return replace(self, declarations=self.declarations + 1, declared=payload.digest)
        return self

    def _at(self, position: Position) -> Self:
        return replace(self, position=latest(self.position, position))
