"""The ports in memory, for unit tests: they pass the same contract suites as the real ones."""

import copy
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from veleta.errors import Reject
from veleta.events.envelope import Message, Record
from veleta.ports import NATIVE, Marks, Subscription, T, Version, Work
from veleta.topics import MAX_MESSAGE_BYTES


class MemoryLog:
    """An event log of one partition a topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Record]] = {}
        self.committed: dict[tuple[str, str, int], int] = {}

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """See `EventLog.publish`."""
        return [self._append(message) for message in messages]

    def read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        """See `EventLog.read`."""
        yield from [r for r in self.topics.get(topic, []) if partition == r.partition and first <= r.offset <= last]

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """See `EventLog.bounds`."""
        return {0: (0, len(self.topics.get(topic, [])))}

    def subscribe(self, topics: Sequence[str], group: str | None = None, marks: Marks | None = None) -> Subscription:
        """See `EventLog.subscribe`."""
        return _MemorySubscription(self, topics, group, marks or {})

    def _append(self, message: Message) -> tuple[int, int]:
        if len(message.value) > MAX_MESSAGE_BYTES:
            raise Reject("too large for its topic", f"{len(message.value)} bytes for {message.topic}")
        records = self.topics.setdefault(message.topic, [])
        offset = len(records)
        records.append(Record(message.topic, 0, offset, message.key, message.headers, message.value))
        return 0, offset


class _MemorySubscription:
    def __init__(self, log: MemoryLog, topics: Sequence[str], group: str | None, marks: Marks) -> None:
        self._log = log
        self._group = group
        self._next = {name: min(marks.get((name, 0), 0), log.bounds(name)[0][1]) for name in topics}

    def poll(self, timeout: float) -> list[Record]:  # noqa: ARG002 - nothing to wait for in memory
        arrived = [r for name, start in self._next.items() for r in self._log.topics.get(name, [])[start:]]
        for record in arrived:
            self._next[record.topic] = record.offset + 1
        return arrived

    def commit(self, marks: Marks) -> None:
        for (topic, partition), offset in marks.items():
            self._log.committed[self._group or "", topic, partition] = offset

    def close(self) -> None:
        """Nothing to give up."""


class _MemoryWork:
    sql = None

    def __init__(self, marks: dict[tuple[str, int], int], outbox: list[Message]) -> None:
        self._marks = marks
        self._outbox = outbox

    def mark(self, topic: str, partition: int) -> int:
        return self._marks.get((topic, partition), 0)

    def advance(self, topic: str, partition: int, offset: int) -> None:
        self._marks[topic, partition] = offset

    def send(self, message: Message) -> None:
        self._outbox.append(message)


class MemoryLedger:
    """A ledger whose transactions are copies, put in place when they end well."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, int], int] = {}
        self._outbox: dict[int, Message] = {}
        self._ids = 0

    async def run(self, transaction: Callable[[Work], T]) -> T:
        """See `Ledger.run`."""
        marks, outgoing = copy.copy(self._marks), list[Message]()
        result = transaction(_MemoryWork(marks, outgoing))
        self._marks = marks
        for message in outgoing:
            self._ids += 1
            self._outbox[self._ids] = message
        return result

    async def marks(self) -> Marks:
        """See `Ledger.marks`."""
        return dict(self._marks)

    async def outbox(self) -> list[tuple[int, Message]]:
        """See `Ledger.outbox`."""
        return sorted(self._outbox.items())

    async def sent(self, ids: Sequence[int]) -> None:
        """See `Ledger.sent`."""
        for number in ids:
            self._outbox.pop(number, None)


class MemoryRegistry:
    """A registry that keeps what it is given; a version's native model is the file that its tag names."""

    def __init__(self) -> None:
        self._versions: dict[int, Version] = {}
        self._aliases: dict[str, int] = {}

    def register(self, run_id: str, source: str, tags: Mapping[str, str]) -> Version:  # noqa: ARG002 - copies nothing
        """See `Registry.register`."""
        known = next((v for v in self._versions.values() if v.run_id == run_id), None)
        if known:
            return known
        number = len(self._versions) + 1
        self._versions[number] = Version(number, run_id, dict(tags))
        return self._versions[number]

    def version(self, number: int) -> Version | None:
        """See `Registry.version`."""
        return self._versions.get(number)

    def alias(self, alias: str) -> Version | None:
        """See `Registry.alias`."""
        return self._versions.get(self._aliases.get(alias, 0))

    def set_alias(self, alias: str, number: int) -> None:
        """See `Registry.set_alias`."""
        self._aliases[alias] = number

    def tag(self, number: int, key: str, value: str) -> None:
        """See `Registry.tag`."""
        known = self._versions[number]
        self._versions[number] = Version(number, known.run_id, {**known.tags, key: value})

    def native(self, version: Version, folder: Path) -> Path:
        """See `Registry.native`."""
        return Path(shutil.copy(version.tags[NATIVE], folder))
