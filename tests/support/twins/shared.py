"""In-memory twins of the adapters in shared/. They pass the same contract suites."""

import copy
import shutil
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Generic

from veleta.adapters.kafka_clients import MissingTopics
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import Message, Record
from veleta.model_digest import check_digest
from veleta.ports import DIGEST, NATIVE, Checkpoints, OutboxRepository, Subscription, T, U, UnitOfWork, Version
from veleta.reference import Reference
from veleta.topics import MAX_MESSAGE_BYTES

_offset = attrgetter("offset")


class MemoryLog:
    """`EventLog` in lists. Each topic has one partition."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Record]] = {}
        self._deleted: set[str] = set()
        self.begins: dict[str, int] = {}
        """The first offset that was not deleted, by topic."""
        self.committed: dict[tuple[str, str, int], int] = {}

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        self._require(message.topic for message in messages)
        return [self._append(message) for message in messages]

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        self._require([topic])
        records = self.topics.get(topic, []) if partition == 0 else []
        for record in records[bisect_left(records, first, key=_offset) : bisect_right(records, last, key=_offset)]:
            if record.offset >= self.begins.get(topic, 0):  # records may be deleted meanwhile
                yield record

    def check(self, topics: Collection[str]) -> None:
        self._require(topics)

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        self._require([topic])
        return {0: (self.begins.get(topic, 0), len(self.topics.get(topic, [])))}

    def delete_topic(self, topic: str) -> None:
        """Delete a topic: it does not exist until `create_topic`."""
        self.topics.pop(topic, None)
        self.begins.pop(topic, None)
        self._deleted.add(topic)

    def create_topic(self, topic: str) -> None:
        """Create a topic again, without records."""
        self._deleted.discard(topic)

    def _require(self, topics: Iterable[str]) -> None:
        if missing := self._deleted.intersection(topics):
            raise MissingTopics(missing)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Delete the records below an offset of the only partition, 0."""
        assert partition == 0
        self.begins[topic] = offset

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        return _MemorySubscription(self, topics, group, offsets or {})

    def _append(self, message: Message) -> tuple[int, int]:
        if len(message.value) > MAX_MESSAGE_BYTES:
            raise Reject("too large for its topic", f"{len(message.value)} bytes for {message.topic}")
        records = self.topics.setdefault(message.topic, [])
        offset = len(records)
        records.append(Record(message.topic, 0, offset, message.key, message.headers, message.value))
        return 0, offset


class CountingLog(MemoryLog):
    """Counts the records that are read, by topic, whether by `read` or by a subscription."""

    def __init__(self) -> None:
        super().__init__()
        self.read_records: Counter[str] = Counter()

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        for record in super().read(topic, partition, first, last):
            self.read_records[topic] += 1
            yield record

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        for name in topics:
            self.read_records[name] += max(0, self.bounds(name)[0][1] - (offsets or {}).get((name, 0), 0))
        return super().subscribe(topics, group, offsets)


class _MemorySubscription:
    def __init__(self, log: MemoryLog, topics: Sequence[str], group: str | None, offsets: Checkpoints) -> None:
        self._log = log
        self._group = group
        bounds = {name: log.bounds(name)[0] for name in topics}
        starts = {name: offsets.get((name, 0), first) for name, (first, _) in bounds.items()}
        self._next = {
            name: starts[name] if first <= starts[name] <= end else first for name, (first, end) in bounds.items()
        }

    def poll(self, timeout: float) -> list[Record]:
        self._log._require(self._next)
        arrived = [r for name, start in self._next.items() for r in self._log.topics.get(name, [])[start:]]
        for record in arrived:
            self._next[record.topic] = record.offset + 1
        return arrived

    def commit(self, offsets: Checkpoints) -> None:
        for (topic, partition), offset in offsets.items():
            self._log.committed[self._group or "", topic, partition] = offset

    def close(self) -> None:
        """Nothing to close."""


class MemoryCheckpoints:
    """`CheckpointRepository` in a dict."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}

    def load(self, topic: str, partition: int) -> int:
        return self._offsets.get((topic, partition), 0)

    def load_all(self) -> Checkpoints:
        return dict(self._offsets)

    def save(self, topic: str, partition: int, offset: int) -> None:
        self._offsets[topic, partition] = offset


class MemoryOutbox:
    """`OutboxRepository` in a dict."""

    def __init__(self) -> None:
        self._messages: dict[int, Message] = {}
        self._last_id = 0

    def append(self, message: Message) -> None:
        self._last_id += 1
        self._messages[self._last_id] = message

    def oldest(self) -> list[tuple[int, Message]]:
        return sorted(self._messages.items())

    def delete(self, ids: Sequence[int]) -> None:
        for number in ids:
            self._messages.pop(number, None)


class MemoryManifests:
    """`ManifestRepository` in a dict. Copies share the manifests, which never change."""

    def __init__(self) -> None:
        self._manifests: dict[tuple[int, int], BatchClosed] = {}
        self._next_offsets: dict[tuple[int, int], int] = {}

    def __deepcopy__(self, _memo: object) -> "MemoryManifests":
        copied = MemoryManifests()
        copied._manifests, copied._next_offsets = self._manifests.copy(), self._next_offsets.copy()
        return copied

    def next_offset(self) -> int:
        return max(self._next_offsets.values(), default=0)

    def save(self, manifests: Sequence[tuple[int, BatchClosed]]) -> None:
        for next_offset, manifest in manifests:
            self._manifests[manifest.epoch, manifest.number] = manifest
            self._next_offsets[manifest.epoch, manifest.number] = next_offset

    def newest(self, epoch: int, number: int, limit: int) -> list[BatchClosed]:
        keys = sorted(key for key in self._manifests if key[0] == epoch and key[1] <= number)
        return [self._manifests[key] for key in keys[-limit:]]

    def last(self) -> BatchClosed | None:
        offsets = self._next_offsets
        return self._manifests[max(offsets, key=lambda key: offsets[key])] if offsets else None

    def delete_some(self) -> int:
        deleted = len(self._manifests)
        self._manifests.clear()
        self._next_offsets.clear()
        return deleted


class MemoryUnitOfWork:
    """`UnitOfWork` whose repositories hold the data themselves. A service's own class adds its repositories."""

    def __init__(self) -> None:
        self.checkpoints = MemoryCheckpoints()
        self.outbox = MemoryOutbox()


class MemoryTransactions(Generic[U]):
    """`Transactions` that work on a copy of the data, which replaces the original only if the transaction returns.

    `committed` is the unit of work with the data as of the last commit.
    """

    def __init__(self, initial: U) -> None:
        self.committed = initial

    async def run(self, transaction: Callable[[U], T]) -> T:
        draft = copy.deepcopy(self.committed)
        result = transaction(draft)
        self.committed = draft
        return result


class StrictTransactions(MemoryTransactions[U]):
    """Refuses to commit an event without the effect that it reports, in any repository.

    In MySQL a kill between two transactions would leave an event without its state, or a state without its event.
    """

    WITHOUT_EFFECT = ("training.progress",)
    """Events that report no state."""
    REPLIES = ("command.accepted", "command.refused")
    """The reply to a command may report an effect of an earlier transaction: without a reply it is handled again."""

    async def run(self, transaction: Callable[[U], T]) -> T:
        before = self.committed
        result = await super().run(transaction)
        if appended := _messages(self.committed) - _messages(before):
            types = {dict(message.headers).get("ce_type", b"").decode() for message in appended}
            if not types.issubset(self.WITHOUT_EFFECT) and types.isdisjoint(self.REPLIES):
                assert _effects(self.committed) != _effects(before), f"{types} stored without an effect"
        return result


def _messages(uow: UnitOfWork) -> set[Message]:
    return {message for _, message in uow.outbox.oldest()}


def _effects(uow: UnitOfWork) -> dict[str, object]:
    """What the repositories hold. The lease is renewed by each transaction of the trainer, and is no effect."""
    return {
        name: getattr(held, "__dict__", held) for name, held in vars(uow).items() if name not in ("outbox", "lease")
    }


class OutboxLog(CountingLog):
    """Refuses an event of a service that is not in its committed outbox: it could be sent without its effect."""

    def __init__(self, service: str, outbox: Callable[[], OutboxRepository]) -> None:
        super().__init__()
        self._source = f"veleta/{service}".encode()
        self._outbox = outbox

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        stored = [message for _, message in self._outbox().oldest()]
        for message in messages:
            headers = dict(message.headers)
            own = headers.get("ce_source") == self._source
            assert not own or message in stored, f"{headers['ce_type'].decode()} was sent past the outbox"
        return super().publish(messages)


class MemoryRegistry:
    """`Registry` in dicts."""

    def __init__(self) -> None:
        self._versions: dict[int, Version] = {}
        self._last_number = 0
        self._aliases: dict[str, int] = {}
        self._record: Version | None = None
        self.descriptions: dict[int, str] = {}
        self.files: dict[str, Path] = {}
        """By address: the file of a native model."""
        self.dataset_files: dict[str, str] = {}
        """By run: the dataset file in its recipe."""
        self.references: dict[str, Reference] = {}
        """By run: what its training left."""
        self.metrics: dict[str, dict[str, float]] = {}
        """By run: what it logged."""
        self.stages: dict[int, str] = {}
        """By version: the stage it was moved to."""

    def check(self) -> None:
        """Memory always answers."""

    def register(self, run_id: str, source: str, tags: Mapping[str, str]) -> Version:
        registered = next((v for v in self._versions.values() if v.run_id == run_id), None)
        if registered:
            return registered
        number = self._last_number = self._last_number + 1
        self._versions[number] = Version(number, run_id, dict(tags))
        return self._versions[number]

    def version(self, number: int) -> Version | None:
        return self._versions.get(number)

    def alias(self, alias: str) -> Version | None:
        return self._versions.get(self._aliases.get(alias, 0))

    def set_alias(self, alias: str, number: int) -> None:
        self._aliases[alias] = number

    def delete(self, number: int) -> None:
        """Delete a version with its aliases, as a person may do in MLflow."""
        del self._versions[number]
        self._aliases = {alias: n for alias, n in self._aliases.items() if n != number}

    def record_champion(self, version: Version) -> None:
        self._record = version

    def recorded_champion(self) -> Version | None:
        return self._record

    def set_tag(self, number: int, key: str, value: str) -> None:
        version = self._versions[number]
        self._versions[number] = Version(number, version.run_id, {**version.tags, key: value})

    def describe(self, version: Version, text: str) -> None:
        if version.number not in self._versions:
            raise KeyError(version.number)
        self.descriptions[version.number] = text

    def best(self, metric: str) -> tuple[int, float] | None:
        measured = {v.number: self.metrics.get(v.run_id, {}).get(metric) for v in self._versions.values()}
        values = {number: value for number, value in measured.items() if value is not None}
        return max(sorted(values.items()), key=lambda pair: pair[1], default=None)

    def set_stage(self, number: int, stage: str) -> None:
        archived = {other: "Archived" for other, before in self.stages.items() if before == stage}
        self.stages = {**self.stages, **archived, number: stage}

    def download_native(self, version: Version, folder: Path) -> Path:
        if NATIVE not in version.tags:
            raise Reject("the version has no native model")
        path = Path(shutil.copy(self.files[version.tags[NATIVE]], folder))
        if expected := version.tags.get(DIGEST):
            check_digest(path.read_bytes(), expected)
        return path

    def dataset_file(self, version: Version) -> str | None:
        return self.dataset_files.get(version.run_id)

    def reference(self, version: Version) -> Reference | None:
        return self.references.get(version.run_id)
