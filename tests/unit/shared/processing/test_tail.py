"""The tail reader: everything once, from the beginning, whatever the broker does."""

import asyncio
from collections.abc import Sequence

import pytest

from veleta.adapters.memory import MemoryLog
from veleta.errors import Retry
from veleta.events.envelope import Message, Record
from veleta.ports import Checkpoints, Subscription
from veleta.processing import tail as tail_module
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth

TOPIC = "d.models"


class Breaking:
    """A subscription that loses its broker after the first records."""

    def __init__(self, inner: Subscription) -> None:
        self._inner = inner
        self._polls = 0
        self.commit = inner.commit
        self.close = inner.close

    def poll(self, timeout: float) -> list[Record]:
        self._polls += 1
        if self._polls > 1:
            raise Retry("kafka", "gone")
        return self._inner.poll(timeout)


class BreakingLog(MemoryLog):
    """A log whose first subscription breaks; a record arrives meanwhile."""

    broken = False

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        made = super().subscribe(topics, group, offsets)
        if self.broken:
            self.publish([Message(TOPIC, "late", (), b"")])
            return made
        self.broken = True
        return Breaking(made)


async def test_each_record_is_taken_once_though_the_broker_went_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was there before it started, and what came after a break; nothing twice."""
    monkeypatch.setattr(tail_module, "RECONNECT_SECONDS", 0.001)
    log, health, taken = BreakingLog(), ServiceHealth("inference"), list[str]()
    log.publish([Message(TOPIC, "old", (), b""), Message(TOPIC, "older", (), b"")])

    def take(records: Sequence[Record]) -> None:
        taken.extend(record.key for record in records)
        if "late" in taken:
            health.stopping.set()

    async with asyncio.timeout(10):
        await tail([TOPIC], log, health, take)
    assert taken == ["old", "older", "late"]
