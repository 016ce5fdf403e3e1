"""The drain: lines are inserted in order, and a line that the database refuses is dead-lettered."""

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
BAD, NOT_JSON = b'{"request_id": "bad"}', b"not JSON"


class MemoryTable:
    """`RequestTable` in memory. It refuses the lines BAD and NOT_JSON, and can be unavailable.

    The real table refuses both, too: tests/integration/test_inference.py.
    """

    name = "RAW_DATA.new_d"

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.unavailable = False

    async def insert(self, lines: Sequence[bytes]) -> None:
        if self.unavailable:
            raise Retry("mysql", "unavailable")
        if BAD in lines or NOT_JSON in lines:
            raise Reject("the database refuses the row", "bad")
        self.lines += lines


class MemoryJournal:
    """`Journal` in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.empty = asyncio.Event()

    async def append(self, lines: Sequence[bytes]) -> None:
        self.lines += lines
        self.empty.clear()

    def read(self) -> list[bytes]:
        return self.lines[:4]

    def acknowledge(self, lines: Sequence[bytes]) -> None:
        del self.lines[: len(lines)]
        if not self.lines:
            self.empty.set()


class Setup:
    """A drain between a journal and a table in memory."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.journal = MemoryJournal()
        self.log = MemoryLog()
        self.health = ServiceHealth("inference")
        self.letters = DeadLetterPublisher(self.log, "d", self.health, lambda: NOW)
        self.drain = Drain(self.journal, self.table, self.letters, self.health)

    async def wait_until_empty(self) -> None:
        await asyncio.wait_for(self.journal.empty.wait(), 5)


@pytest.fixture
async def setup(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setup]:
    monkeypatch.setattr(drain_module, "IDLE_SECONDS", 0.001)
    monkeypatch.setattr(drain_module, "RETRY_SECONDS", 0.001)
    made = Setup()
    running = asyncio.create_task(made.drain.run())
    yield made
    made.health.stopping.set()
    await running


async def test_lines_are_inserted_in_order(setup: Setup) -> None:
    """As many at once as the journal returns."""
    lines = [b"%d" % n for n in range(10)]
    await setup.journal.append(lines)
    await setup.wait_until_empty()
    assert setup.table.lines == lines


@pytest.mark.failure("F127")
@pytest.mark.parametrize(("line", "key"), [(BAD, "bad"), (NOT_JSON, "")])
async def test_a_refused_line_is_dead_lettered(setup: Setup, line: bytes, key: str) -> None:
    """The others that were read with it are inserted."""
    await setup.journal.append([b"a", line, b"c", b"d"])
    await setup.wait_until_empty()
    await setup.letters.drain()
    assert setup.table.lines == [b"a", b"c", b"d"]
    (record,) = setup.log.topics["d.deadletter"]
    letter = decode(record).payload
    assert isinstance(letter, RecordDeadlettered)
    assert (letter.first_key, letter.topic, letter.value) == (key, "RAW_DATA.new_d", line.decode())


@pytest.mark.failure("F49")
async def test_while_the_database_is_unavailable_lines_stay_in_the_journal(setup: Setup) -> None:
    """The service is not ready. When the database is available again, all lines are inserted."""
    setup.table.unavailable = True
    await setup.journal.append([b"a", b"b"])
    await asyncio.sleep(0.05)
    assert setup.health.unavailable["mysql"] == "mysql: unavailable"
    assert setup.journal.lines == [b"a", b"b"]
    setup.table.unavailable = False
    await setup.wait_until_empty()
    assert setup.table.lines == [b"a", b"b"]
    assert "mysql" not in setup.health.unavailable


async def test_a_stop_inserts_the_remaining_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the database is unavailable then, they stay in the journal."""
    for unavailable in (False, True):
        setup = Setup()
        setup.table.unavailable = unavailable
        running = asyncio.create_task(setup.drain.run())
        await asyncio.sleep(0)
        await setup.journal.append([b"a"])
        setup.health.stopping.set()
        await running
        assert (setup.table.lines, setup.journal.lines) == (([], [b"a"]) if unavailable else ([b"a"], []))
