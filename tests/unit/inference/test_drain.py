"""The drain: groups, and what becomes of a line that cannot be written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from support.twins.shared import MemoryLog
from veleta.errors import Reject, Retry
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import decode
from veleta.service.health import ServiceHealth
from veleta_inference import drain as drain_module
from veleta_inference.dead_letters import DeadLetterPublisher
from veleta_inference.drain import Drain

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BAD = b'{"request_id": "bad"}'


class MemoryTable:
    """A table that refuses the line BAD, and is away when told."""

    name = "RAW_DATA.new_d"

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.away = False

    async def insert(self, lines: Sequence[bytes]) -> None:
        if self.away:
            raise Retry("mysql", "away")
        if BAD in lines or b"rubbish" in lines:
            raise Reject("the database refuses the row", "bad")
        self.kept += lines


class MemoryJournal:
    """Lines in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.empty = asyncio.Event()

    async def keep(self, lines: Sequence[bytes]) -> None:
        self.lines += lines
        self.empty.clear()

    def read(self) -> list[bytes]:
        return self.lines[:4]

    def forget(self, lines: Sequence[bytes]) -> None:
        del self.lines[: len(lines)]
        if not self.lines:
            self.empty.set()


class Desk:
    """A drain at work."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.journal = MemoryJournal()
        self.log = MemoryLog()
        self.health = ServiceHealth("inference")
        self.letters = DeadLetterPublisher(self.log, "d", self.health, lambda: NOW)
        self.drain = Drain(self.journal, self.table, self.letters, self.health)

    async def emptied(self) -> None:
        await asyncio.wait_for(self.journal.empty.wait(), 5)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(drain_module, "GATHER_SECONDS", 0.001)
    monkeypatch.setattr(drain_module, "AWAY_SECONDS", 0.001)
    made = Desk()
    draining = asyncio.create_task(made.drain.run())
    yield made
    made.health.stopping.set()
    await draining


async def test_what_the_journal_holds_reaches_the_table(desk: Desk) -> None:
    """Group by group, in its order."""
    lines = [b"%d" % n for n in range(10)]
    await desk.journal.keep(lines)
    await desk.emptied()
    assert desk.table.kept == lines


@pytest.mark.parametrize(("line", "key"), [(BAD, "bad"), (b"rubbish", "")])
async def test_a_line_that_is_refused_takes_no_other_with_it(desk: Desk, line: bytes, key: str) -> None:
    """Its group is halved until it is found; it is a dead letter, and the others go in."""
    await desk.journal.keep([b"a", line, b"c", b"d"])
    await desk.emptied()
    await desk.letters.drain()
    assert desk.table.kept == [b"a", b"c", b"d"]
    (record,) = desk.log.topics["d.deadletter"]
    letter = decode(record).payload
    assert isinstance(letter, RecordDeadlettered)
    assert (letter.first_key, letter.topic, letter.value) == (key, "RAW_DATA.new_d", line.decode())


@pytest.mark.failure("F49")
async def test_without_the_database_the_journal_keeps_all(desk: Desk) -> None:
    """/readyz says what is away; when it is back, all that was kept goes in."""
    desk.table.away = True
    await desk.journal.keep([b"a", b"b"])
    await asyncio.sleep(0.05)
    assert desk.health.unavailable["mysql"] == "mysql: away"
    assert desk.journal.lines == [b"a", b"b"]
    desk.table.away = False
    await desk.emptied()
    assert desk.table.kept == [b"a", b"b"]
    assert "mysql" not in desk.health.unavailable


async def test_a_stop_writes_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered before the end is in the table, if the database answers; if not, it stays in the journal."""
    for away in (False, True):
        desk = Desk()
        desk.table.away = away
        draining = asyncio.create_task(desk.drain.run())
        await asyncio.sleep(0)
        await desk.journal.keep([b"a"])
        desk.health.stopping.set()
        await draining
        assert (desk.table.kept, desk.journal.lines) == (([], [b"a"]) if away else ([b"a"], []))
