"""What the poller remembers, and what its inbox holds."""

from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Self

import orjson

from veleta_poller.domain.sequence import Position
from veleta_poller.domain.tap import Tap


@dataclass(frozen=True)
class Body:
    """An answer in the inbox, by the name of its file: `<time>-<status>.body`, or `.part` when it broke off."""

    name: str

    @property
    def status(self) -> int:
        """The HTTP status it came with."""
        return int(PurePath(self.name).stem.rpartition("-")[2])


@dataclass(frozen=True)
class Reply:
    """What is to be said of a command, by its id; `words` are the effect or the reason."""

    command: str
    accepted: bool
    words: str


@dataclass(frozen=True)
class State:
    """What the poller must not forget.

    `restart_of` is the epoch after which the API was told to begin a new one; `torn`: since the last batch a part of
    an answer came; `notes` are findings that the next manifest is to carry; `largest` is the largest body seen, bytes;
    `replies` are those to commands that may not be in the topic yet.
    """

    position: Position = field(default_factory=Position)
    restart_of: int | None = None
    torn: bool = False
    notes: tuple[str, ...] = ()
    largest: int = 0
    tap: Tap = field(default_factory=Tap)
    replies: tuple[Reply, ...] = ()

    @property
    def restarting(self) -> bool:
        """Whether a restart was announced and not yet confirmed by a batch of the new epoch."""
        return self.restart_of == self.position.epoch

    @property
    def due(self) -> tuple[int, int]:
        """Epoch and number of the batch that is expected next."""
        return (self.position.epoch + 1, 0) if self.restarting else self.position.due

    def to_json(self) -> bytes:
        """The state as it lies on the disk."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The state in a file. Raises ValueError, KeyError or TypeError when it holds none."""
        kept = orjson.loads(content)
        parts = {
            "position": Position(**kept["position"]),
            "notes": tuple(kept["notes"]),
            "tap": Tap(**kept.get("tap", {})),
            "replies": tuple(Reply(**reply) for reply in kept.get("replies", ())),
        }
        return cls(**{**kept, **parts})
