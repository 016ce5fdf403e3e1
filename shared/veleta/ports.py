"""What a service may ask of the world. Adapters stand in `adapters`; `adapters.memory` has a twin of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from veleta.events.envelope import Message, Record

T = TypeVar("T")
Marks = Mapping[tuple[str, int], int]
"""How far a service came: (topic, partition) to the next offset it will take."""


class Subscription(Protocol):
    """Records of some topics, in the order of each partition, from where it was placed on. Not thread-safe."""

    def poll(self, timeout: float) -> list[Record]:
        """The records that arrived; waits up to `timeout` seconds for the first. Raises Retry."""
        ...

    def commit(self, marks: Marks) -> None:
        """Tell the log how far the group came: only its lag depends on it. Raises Retry."""
        ...

    def close(self) -> None:
        """Give up the connection. May be called twice."""
        ...


class EventLog(Protocol):
    """The topics. Every method blocks, may be called from any thread, and raises Retry when the broker is away."""

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """Append, in order, and wait until all replicas have it: (partition, offset) of each message.

        Raises:
            Reject: a message is larger than the topic takes.
        """
        ...

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        """The records at offsets `first` to `last`, both included; ends early where the log does."""
        ...

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition: the first offset that is there, and the next one that will be written."""
        ...

    def subscribe(self, topics: Sequence[str], group: str | None = None, marks: Marks | None = None) -> Subscription:
        """Follow topics from `marks` on, from the beginning where there is none. With a group, commits are kept."""
        ...


class Work(Protocol):
    """One transaction: effects, the mark and outgoing events are kept together or not at all."""

    @property
    def sql(self) -> Any:
        """The transaction's connection, for the service's own tables (sqlalchemy.Connection; None in memory)."""
        ...

    def mark(self, topic: str, partition: int) -> int:
        """The next offset this service will take, 0 at first; locked until the transaction ends."""
        ...

    def advance(self, topic: str, partition: int, offset: int) -> None:
        """`offset` is the next one to take."""
        ...

    def send(self, message: Message) -> None:
        """Publish this after the transaction (the outbox)."""
        ...


class Ledger(Protocol):
    """Where a service keeps what it did. Raises Retry when the database is away."""

    async def run(self, transaction: Callable[[Work], T]) -> T:
        """Run in one transaction: committed when it returns, rolled back when it raises. It may run twice."""
        ...

    async def marks(self) -> Marks:
        """All marks of this service."""
        ...

    async def outbox(self) -> list[tuple[int, Message]]:
        """The oldest unsent messages in their order, some hundred at most, each with its id in the outbox."""
        ...

    async def sent(self, ids: Sequence[int]) -> None:
        """Forget messages that were published."""
        ...


@dataclass(frozen=True)
class Version:
    """A version of the registered model, as the registry knows it."""

    number: int
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)


NATIVE = "native"
"""The tag of a version that says where the registry keeps its CatBoost model."""
SEQ = "seq"
"""The tag of a version that says with which decision it became the champion, or was rejected."""
CHAMPION = "champion"
"""The alias of the version that is to be served."""


class Registry(Protocol):
    """The versions of one registered model. Every method blocks and raises Retry when the registry is away."""

    def register(self, run_id: str, source: str, tags: Mapping[str, str]) -> Version:
        """The version of this run; created from the model at `source` when there is none yet."""
        ...

    def version(self, number: int) -> Version | None:
        """The version of this number."""
        ...

    def alias(self, alias: str) -> Version | None:
        """The version that bears an alias (champion, challenger, previous)."""
        ...

    def set_alias(self, alias: str, number: int) -> None:
        """Move an alias. Setting it again is harmless."""
        ...

    def tag(self, number: int, key: str, value: str) -> None:
        """Tag a version."""
        ...

    def native(self, version: Version, folder: Path) -> Path:
        """Bring the version's native CatBoost model (its tag `NATIVE`) to a folder: the path of the .cbm file."""
        ...
