"""`tail` passes on each record once, from the beginning, whatever happens to Kafka."""

import asyncio
from collections.abc import Sequence

import pytest

from support.twins.shared import MemoryLog
from veleta.errors import Retry
from veleta.events.envelope import Message, Record
from veleta.ports import Checkpoints, Subscription
from veleta.processing import tail as tail_module
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth

TOPIC = "d.models"


class BreakingSubscription:
    """A subscription that raises Retry after its first poll."""

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
    """A log whose first subscription breaks. A record arrives before the second one."""

    broken = False

    def subscribe(
        self, topics: Sequence[str], group: str | None = None, offsets: Checkpoints | None = None
    ) -> Subscription:
        subscription = super().subscribe(topics, group, offsets)
        if self.broken:
            self.publish([Message(TOPIC, "late", (), b"")])
            return subscription
        self.broken = True
        return BreakingSubscription(subscription)


async def test_each_record_is_passed_on_once_in_spite_of_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records from before the start, and records that arrive after the outage."""
    monkeypatch.setattr(tail_module, "RECONNECT_SECONDS", 0.001)
    log, health, keys = BreakingLog(), ServiceHealth("inference"), list[str]()
    log.publish([Message(TOPIC, "old", (), b""), Message(TOPIC, "older", (), b"")])

    def on_records(records: Sequence[Record]) -> None:
        keys.extend(record.key for record in records)
        if "late" in keys:
            health.stopping.set()

    async with asyncio.timeout(10):
        await tail([TOPIC], log, health, on_records)
    assert keys == ["old", "older", "late"]


@pytest.mark.failure("F313")
async def test_a_topic_that_is_recreated_is_followed_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shorter than what was read of the deleted one."""
    monkeypatch.setattr(tail_module, "RECONNECT_SECONDS", 0.001)
    log, health, keys = MemoryLog(), ServiceHealth("inference"), list[str]()
    log.publish([Message(TOPIC, key, (), b"") for key in ("old", "older")])
    loop, shown = asyncio.get_running_loop(), list[str]()

    def recreate() -> None:
        shown.append(health.unavailable.get("kafka", ""))
        log.create_topic(TOPIC)
        log.publish([Message(TOPIC, "new", (), b"")])

    def on_records(records: Sequence[Record]) -> None:
        keys.extend(record.key for record in records)
        if "new" in keys:
            health.stopping.set()
        else:
            log.delete_topic(TOPIC)
            loop.call_later(0.1, recreate)

    async with asyncio.timeout(10):
        await tail([TOPIC], log, health, on_records)
    assert keys == ["old", "older", "new"]
    assert shown == [f"kafka: {TOPIC} does not exist; make start creates it again"]


async def test_a_partition_may_start_at_a_later_record() -> None:
    """For a process that needs only the last event, and those that follow."""
    log, health, keys = MemoryLog(), ServiceHealth("inference"), list[str]()
    log.publish([Message(TOPIC, key, (), b"") for key in ("old", "last")])

    def on_records(records: Sequence[Record]) -> None:
        keys.extend(record.key for record in records)
        health.stopping.set()

    async with asyncio.timeout(10):
        await tail([TOPIC], log, health, on_records, {(TOPIC, 0): 1})
    assert keys == ["last"]
