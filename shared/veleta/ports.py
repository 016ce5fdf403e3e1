"""What a service requires of the outside world. `adapters` implements it; tests/support/twins has in-memory twins."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import Message, Record
from veleta.reference import Reference

T = TypeVar("T")
Checkpoints = Mapping[tuple[str, int], int]
"""(topic, partition) to the next offset that a service will process."""


class Subscription(Protocol):
    """Records of some topics, in the order of each partition. Not thread-safe."""

    def poll(self, timeout: float) -> list[Record]:
        """The records that arrived. Waits up to `timeout` seconds for the first. Raises Retry."""

    def commit(self, offsets: Checkpoints) -> None:
        """Commit the group's offsets. They only show its lag. Raises Retry."""

    def close(self) -> None:
        """Close the connection. May be called twice."""


class EventLog(Protocol):
    """The topics. Every method blocks, may be called from any thread, and raises Retry if Kafka is unreachable."""

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """Append in order and wait until all replicas have it: (partition, offset) of each message.

        Raises:
            Reject: a message is larger than its topic allows.
        """

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        """The records at offsets `first` to `last`, both included. Those outside the log are skipped."""

    def check(self, topics: Collection[str]) -> None:
        """Check that Kafka answers, and that it has all these topics. Not delayed by other calls."""

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition: the first offset that exists, and the next one that will be written."""

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        """Follow topics from `offsets`, or from the beginning. Only a subscription with a group can commit.

        An offset beyond the end belongs to a topic that was recreated: it is followed from the beginning.
        """


class CheckpointRepository(Protocol):
    """The checkpoints of one service, within one transaction."""

    def load(self, topic: str, partition: int) -> int:
        """The next offset to process, 0 at first. Locked until the transaction ends."""

    def load_all(self) -> Checkpoints:
        """All checkpoints, not locked."""

    def save(self, topic: str, partition: int, offset: int) -> None:
        """`offset` is the next one to process."""


class OutboxRepository(Protocol):
    """The messages of one service that are not yet published, within one transaction."""

    def append(self, message: Message) -> None:
        """Store a message; it is published after the transaction."""

    def oldest(self) -> list[tuple[int, Message]]:
        """The oldest messages in order, some hundred at most, each with its id."""

    def delete(self, ids: Sequence[int]) -> None:
        """Delete published messages."""


class ManifestRepository(Protocol):
    """The manifests of closed batches that one service has read from `batches`, within one transaction."""

    def next_offset(self) -> int:
        """The offset in `batches` after the last manifest, 0 if there is none."""

    def save(self, manifests: Sequence[tuple[int, BatchClosed]]) -> None:
        """Insert manifests, each with the offset after it. One of the same batch is replaced."""

    def newest(self, epoch: int, number: int, limit: int) -> list[BatchClosed]:
        """The last `limit` manifests of an epoch up to `number`, in the order of their numbers."""

    def last(self) -> BatchClosed | None:
        """The manifest that the topic got last."""

    def delete_some(self) -> int:
        """Delete some thousand manifests. Returns how many there were."""


class UnitOfWork(Protocol):
    """One transaction: effects, the checkpoint and outgoing events are committed together or not at all.

    A service's own unit of work adds a repository for each of its tables.
    """

    @property
    def checkpoints(self) -> CheckpointRepository:
        """The service's checkpoints."""

    @property
    def outbox(self) -> OutboxRepository:
        """The service's outgoing events."""


class ManifestUnitOfWork(UnitOfWork, Protocol):
    """A transaction of a service that has a table of manifests."""

    @property
    def manifests(self) -> ManifestRepository:
        """The service's manifests."""


U = TypeVar("U", bound=UnitOfWork)
U_co = TypeVar("U_co", bound=UnitOfWork, covariant=True)
U_contra = TypeVar("U_contra", bound=UnitOfWork, contravariant=True)


class Transactions(Protocol[U_co]):
    """Runs units of work. Raises Retry if the database is unavailable."""

    async def run(self, transaction: Callable[[U_co], T]) -> T:
        """Commit when `transaction` returns, roll back when it raises. It may run twice."""


@dataclass(frozen=True)
class Version:
    """A version of the registered model, with its tags in the registry."""

    number: int
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        """The number of its last decision. 0 if it has no valid tag for it."""
        seq = self.tags.get(SEQ, "")
        return int(seq) if seq.isascii() and seq.isdigit() else 0


NATIVE = "native"
"""The tag of a version with the address of its CatBoost model."""
DIGEST = "native_digest"
"""The tag of a version with the SHA-256 of that model's file. Versions of earlier releases have none."""
ARTIFACTS = "artifacts"
"""The tag of a version whose artifacts retention deleted, with these words as its value."""
SEQ = "seq"
"""The tag of a version with the number of the decision that promoted or rejected it."""
DECISION, REJECTED = "decision", "rejected"
"""The tag of a version with its last decision and the reason, and how that of a rejected version begins."""
INTERVAL_LEVEL = "interval_level"
"""The tag of a version with the last level of its intervals: see `AdjustedLevel`. A new version has none."""
CHAMPION, PREVIOUS = "champion", "previous"
"""The alias of the version to serve, and the tag of the registered model with its record."""


class Registry(Protocol):
    """The versions of one registered model. Every method blocks, and raises Retry if the registry is unreachable."""

    def check(self) -> None:
        """Check that the registry answers. Not delayed by other calls."""

    def register(self, run_id: str, source: str, tags: Mapping[str, str]) -> Version:
        """The version of a run. If there is none, it is created from the model at `source`."""

    def version(self, number: int) -> Version | None:
        """The version with a number."""

    def alias(self, alias: str) -> Version | None:
        """The version with an alias (champion, challenger, previous)."""

    def set_alias(self, alias: str, number: int) -> None:
        """Move an alias to a version. Setting it again is harmless."""

    def record_champion(self, version: Version) -> None:
        """Store the number, run and tags of the champion at the model: they stay when the version is deleted."""

    def recorded_champion(self) -> Version | None:
        """The champion that was recorded last."""

    def set_tag(self, number: int, key: str, value: str) -> None:
        """Set a tag of a version."""

    def describe(self, version: Version, text: str) -> None:
        """Set the description of a version and of its run. A run that was deleted has none."""

    def best(self, metric: str) -> tuple[int, float] | None:
        """The version whose run has the highest value of a metric, the older one of two, and that value."""

    def set_stage(self, number: int, stage: str) -> None:
        """Move a version to a stage of MLflow, such as Production. The version that was in it is archived."""

    def download_native(self, version: Version, folder: Path) -> Path:
        """Download the CatBoost model of a version to a folder: the path of the .cbm file.

        Raises:
            Reject: the version has none, or its file has another SHA-256 than the tag DIGEST.
        """

    def dataset_file(self, version: Version) -> str | None:
        """The text of the dataset file of a version's training. None if its run has no readable recipe."""

    def reference(self, version: Version) -> Reference | None:
        """What a version's training left to compare batches with. None if its run has none that can be read."""
