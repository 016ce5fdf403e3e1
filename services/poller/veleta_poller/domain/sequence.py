"""What a batch's number and digest tell, given where the poller stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from veleta.events.catalogue import BatchClosed, BatchMissed, Payload


@dataclass(frozen=True)
class Position:
    """The last batch that was dealt with. Epoch 0: none ever was.

    `digest` is that of its rows, empty when they never arrived.
    """

    epoch: int = 0
    number: int = -1
    digest: str = ""

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and number: the position with the greater place is further on."""
        return self.epoch, self.number

    @property
    def due(self) -> tuple[int, int]:
        """Epoch and number of the batch that is expected next."""
        return max(self.epoch, 1), self.number + 1


@dataclass(frozen=True)
class Step:
    """What to do with a batch: `repeat` is to be ignored; else it is published as `epoch`/`number`.

    `missed` are the numbers of this epoch that never came; `finding` says what was odd, if anything.
    """

    kind: Literal["take", "repeat"]
    epoch: int
    number: int
    missed: range = range(0)
    finding: str = ""


def decide(position: Position, number: int, digest: str, restarting: bool) -> Step:
    """What batch `number` means after `position`; `restarting`: the API was told to begin a new epoch."""
    last = position.number
    if position.epoch == 0:
        return Step("take", 1, number, range(number))
    if restarting:
        return _new_epoch(position, number, f"after the restart came batch {number}, not 0" if number else "")
    if number > last:
        return Step("take", position.epoch, number, range(last + 1, number))
    if number < last:
        return _new_epoch(position, number, f"restarted elsewhere: batch {number} came after {last}")
    if digest == position.digest:
        return Step("repeat", position.epoch, number, finding=f"batch {number} came twice")
    return _new_epoch(position, number, f"restarted elsewhere: batch {number} came again with other rows")


def _new_epoch(position: Position, number: int, finding: str) -> Step:
    return Step("take", position.epoch + 1, number, range(number), finding)


def further(one: Position, other: Position) -> Position:
    """Whichever is further on; `other` where they are equally far."""
    return one if one.place > other.place else other


def fold(payloads: Iterable[Payload]) -> Position:
    """The position that the events of `batches` tell: a batch counts once it is closed or missed."""
    position = Position()
    for payload in payloads:
        if isinstance(payload, BatchClosed):
            position = further(position, Position(payload.epoch, payload.number, payload.digest))
        elif isinstance(payload, BatchMissed):
            position = further(position, Position(payload.epoch, payload.number))
    return position
