"""The drain: lines are inserted in order. A line that is damaged or refused is dead-lettered, whatever else is down."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from support.journals import REFUSALS, FakeServer, MemoryJournal
from support.twins.shared import MemoryLog
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import Message, decode
from veleta.faults import fault_point
from veleta.service.health import ServiceHealth
from veleta.tables import dataset_tables
from veleta_inference import drain as drain_module
from veleta_inference.adapters.journal import JournalFolder
from veleta_inference.adapters.request_table import MAX_BYTES, MysqlRequestTable
from veleta_inference.dead_letters import DeadLetterOutbox
from veleta_inference.drain import SET_ASIDE, Drain
from veleta_inference.handlers import REQUEST_FIELDS
from veleta_inference.ports import Journal

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TABLE = dataset_tables(load_dataset("real_estate")).requests
LINES = [b'{"request_id":"%d"}' % n for n in range(10)]
BAD = b'{"request_id":"bad"}'
LIMIT = 100_000


class SwitchableLog(MemoryLog):
    """A log that can be unavailable."""

    unavailable = False

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        if self.unavailable:
            raise Retry("kafka", "unavailable")
        return super().publish(messages)


class Setup:
    """Inference's drains of answered requests and of dead letters, with journals in memory or in a folder."""

    def __init__(self, folder: Path | None = None, log: SwitchableLog | None = None) -> None:
        self.server = FakeServer()
        self.log = log or SwitchableLog()
        self.health = ServiceHealth("inference")
        self.journal, self.dead = (_journal(folder, name) for name in ("answered", "dead"))
        self.letters = DeadLetterOutbox(self.log, self.dead, set(), "d", self.health, lambda: NOW)
        table = MysqlRequestTable(cast("AsyncEngine", self.server), TABLE, REQUEST_FIELDS)
        drains = (
            Drain(self.journal, table, self.letters, self.health),
            Drain(self.dead, self.letters, self.letters, self.health),
        )
        self.running = [asyncio.create_task(drain.run()) for drain in drains]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition is met."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - the state has no event to wait for
                await asyncio.sleep(0.001)

    async def until_empty(self) -> None:
        """Wait until both journals are empty."""
        await self.until(lambda: self.journal.read().size == self.dead.read().size == 0)

    async def kill(self) -> None:
        """End both drains at once, and release the folders."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.journal.close()
        self.dead.close()

    @property
    def dead_letters(self) -> list[RecordDeadlettered]:
        payloads = [decode(record).payload for record in self.log.topics.get("d.deadletter", [])]
        return [payload for payload in payloads if isinstance(payload, RecordDeadlettered)]


def _journal(folder: Path | None, name: str) -> Journal:
    return JournalFolder(folder / name, LIMIT, sync=True) if folder else MemoryJournal()


@pytest.fixture(autouse=True)
def _pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_module, "IDLE_SECONDS", 0.001)
    monkeypatch.setattr(drain_module, "RETRY_SECONDS", 0.001)


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    made = Setup()
    yield made
    made.health.stopping.set()
    await asyncio.gather(*made.running)


async def test_lines_are_inserted_in_order(setup: Setup) -> None:
    """As many at once as the journal returns."""
    await setup.journal.append(LINES)
    await setup.until_empty()
    assert setup.server.lines == LINES


@pytest.mark.failure("F127", "F284")
@pytest.mark.parametrize("error", REFUSALS)
async def test_a_refused_line_is_dead_lettered(setup: Setup, error: tuple[int, str]) -> None:
    """With each error of MySQL and MariaDB. The others that were read with it are inserted."""
    setup.server.refused = {BAD: error}
    await setup.journal.append([LINES[0], BAD, *LINES[1:]])
    await setup.until_empty()
    assert setup.server.lines == LINES
    (letter,) = setup.dead_letters
    assert (letter.first_key, letter.topic, letter.value) == ("bad", TABLE.fullname, BAD.decode())
    assert letter.reason == "the database refuses the row"


@pytest.mark.failure("F284")
async def test_a_line_that_no_packet_holds_is_dead_lettered(setup: Setup) -> None:
    """The server would close the connection, as in an outage."""
    await setup.journal.append([LINES[0], b'"%b"' % (b"x" * MAX_BYTES), LINES[1]])
    await setup.until_empty()
    assert setup.server.lines == LINES[:2]
    assert [letter.reason for letter in setup.dead_letters] == ["the line is too long for the database"]


async def test_a_line_that_is_not_utf8_is_dead_lettered(setup: Setup) -> None:
    """It is not sent to the database."""
    await setup.journal.append([LINES[0], b'{"request_id":"\xff"}', LINES[1]])
    await setup.until_empty()
    assert setup.server.lines == LINES[:2]
    assert [letter.reason for letter in setup.dead_letters] == ["the line is not UTF-8"]


@pytest.mark.failure("F147")
async def test_damaged_lines_are_counted_and_dead_lettered(setup: Setup) -> None:
    """Each is a dead letter of its own, a metric counts them, and /readyz has a warning. The service is ready."""
    before = SET_ASIDE.labels(TABLE.fullname)._value.get()
    assert isinstance(setup.journal, MemoryJournal)
    setup.journal.damaged = [b"\0\0", b"12345678 {}"]
    await setup.journal.append(LINES)
    await setup.until_empty()
    assert setup.server.lines == LINES
    assert [letter.value for letter in setup.dead_letters] == ["\0\0", "12345678 {}"]
    assert len({record.headers for record in setup.log.topics["d.deadletter"]}) == 2
    assert {letter.reason for letter in setup.dead_letters} == {"the line of the journal is damaged"}
    assert setup.health.warnings == {
        TABLE.fullname: f"lines for {TABLE.fullname} set aside since the start: 2 (`make dead` shows them)"
    }
    assert SET_ASIDE.labels(TABLE.fullname)._value.get() - before == 2
    assert setup.health.unavailable.keys() == {"start"}


@pytest.mark.failure("F49")
@pytest.mark.parametrize(
    "error", [(2013, "HY000"), (1205, "HY000"), (1213, "40001"), (1040, "08004"), (1021, "HY000"), (1114, "HY000")]
)
async def test_while_the_database_is_unavailable_lines_stay_in_the_journal(
    setup: Setup, error: tuple[int, str]
) -> None:
    """The service is not ready. When the database is available again, all lines are inserted."""
    setup.server.fault = error
    await setup.journal.append(LINES[:2])
    await setup.until(lambda: "mysql" in setup.health.unavailable)
    await asyncio.sleep(0.02)
    assert setup.journal.read().lines == LINES[:2]
    assert setup.dead_letters == []
    setup.server.fault = None
    await setup.until_empty()
    assert setup.server.lines == LINES[:2]
    assert "mysql" not in setup.health.unavailable


@pytest.mark.failure("F285")
async def test_while_kafka_is_unavailable_dead_letters_wait_on_disk(tmp_path: Path) -> None:
    """Other requests get into the database meanwhile. The letters survive a kill."""
    killed = Setup(tmp_path)
    killed.log.unavailable = True
    killed.server.refused = {BAD: (4025, "23000")}
    await killed.journal.append([LINES[0], BAD])
    await killed.until(lambda: killed.journal.read().size == 0)
    await killed.journal.append(LINES[1:])
    await killed.until(lambda: killed.server.lines == LINES and "kafka" in killed.health.unavailable)
    await killed.kill()
    killed.log.unavailable = False
    after = Setup(tmp_path, killed.log)
    await after.until_empty()
    assert [letter.first_key for letter in after.dead_letters] == ["bad"]
    assert "kafka" not in after.health.unavailable
    await after.kill()


@pytest.mark.failure("F285")
async def test_a_kill_before_the_dead_letter_is_stored_loses_nothing(tmp_path: Path) -> None:
    """The line is still in its journal. The next process finds it again."""

    def kill(point: str) -> None:
        if point == "inference.refused":
            raise asyncio.CancelledError

    fault_point.install(kill)
    try:
        killed = Setup(tmp_path)
        killed.server.refused = {BAD: (4025, "23000")}
        await killed.journal.append([LINES[0], BAD])
        await killed.until(killed.running[0].done)
        await killed.kill()
    finally:
        fault_point.install(None)
    assert killed.dead_letters == []
    after = Setup(tmp_path)
    after.server.refused = {BAD: (4025, "23000")}
    await after.until_empty()
    assert after.server.lines == LINES[:1]
    assert [letter.first_key for letter in after.dead_letters] == ["bad"]
    await after.kill()


@pytest.mark.failure("F285")
async def test_a_line_whose_dead_letter_cannot_be_stored_stays_in_its_journal(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is not ready meanwhile. One letter is published in the end."""
    append = setup.dead.append

    async def full(_lines: Sequence[bytes]) -> None:
        raise Retry("journal", "its disk is full")

    monkeypatch.setattr(setup.dead, "append", full)
    setup.server.refused = {BAD: (4025, "23000")}
    await setup.journal.append([BAD, LINES[0]])
    await setup.until(lambda: "journal" in setup.health.unavailable)
    assert setup.journal.read().lines == [BAD, LINES[0]]
    monkeypatch.setattr(setup.dead, "append", append)
    await setup.until_empty()
    assert [letter.first_key for letter in setup.dead_letters] == ["bad"]


async def test_a_stop_inserts_the_remaining_lines() -> None:
    """If the database is unavailable then, they stay in the journal."""
    for fault in (None, (2013, "HY000")):
        setup = Setup()
        setup.server.fault = fault
        await asyncio.sleep(0)
        await setup.journal.append(LINES[:1])
        setup.health.stopping.set()
        await asyncio.gather(*setup.running)
        assert (setup.server.lines, setup.journal.read().lines) == (([], LINES[:1]) if fault else (LINES[:1], []))
