"""The journal: groups, and what becomes of a request that cannot be written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from veleta.adapters.memory import MemoryLog
from veleta.errors import Reject, Retry
from veleta.events.catalogue import RecordDeadlettered
from veleta.events.envelope import decode
from veleta.life import Life
from veleta_inference import journal as journal_module
from veleta_inference.deadletters import DeadLetters
from veleta_inference.journal import Journal, SqlRow

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class MemoryTable:
    """A table that refuses rows named `bad`, is away when told, and stands still while `gate` is shut."""

    name = "RAW_DATA.new_d"

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def insert(self, rows: Sequence[SqlRow]) -> None:
        await self.gate.wait()
        if self.away:
            raise Retry("mysql", "away")
        if any(row["name"] == "bad" for row in rows):
            raise Reject("the database refuses the row", "bad")
        self.groups.append([row["name"] for row in rows])

    @property
    def kept(self) -> list[str]:
        return [name for group in self.groups for name in group]


class Desk:
    """A journal with its writer at work."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.log = MemoryLog()
        self.life = Life("inference")
        self.letters = DeadLetters(self.log, "d", self.life, lambda: NOW)
        self.journal = Journal(self.table, self.letters, self.life, queue_limit=4, group_rows=3)

    def keep(self, *names: str) -> asyncio.Task[None]:
        rows = [{"name": name, "at": NOW} for name in names]
        return asyncio.create_task(self.journal.keep(f"id-{names[0]}", rows))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    writing = asyncio.create_task(made.journal.write())
    yield made
    writing.cancel()


async def test_a_request_returns_when_it_is_written(desk: Desk) -> None:
    """A price leaves only after its request is in the table."""
    desk.table.gate.clear()
    waiting = desk.keep("a")
    await asyncio.sleep(0)
    assert not waiting.done()
    desk.table.gate.set()
    await waiting
    assert desk.table.kept == ["a"]


async def test_what_waits_is_written_together_up_to_a_bound(desk: Desk) -> None:
    """While one group is written the next one gathers; a request is never split."""
    desk.table.gate.clear()
    first = desk.keep("a")
    await asyncio.sleep(0)
    others = [desk.keep("b"), desk.keep("c", "d"), desk.keep("e")]
    await asyncio.sleep(0)
    desk.table.gate.set()
    await asyncio.gather(first, *others)
    assert desk.table.kept == ["a", "b", "c", "d", "e"]
    assert max(len(group) for group in desk.table.groups) == 3


async def test_a_full_queue_is_told_at_once(desk: Desk) -> None:
    """No pile-up: beyond the limit the client is asked to come back, and nothing of it is written."""
    desk.table.gate.clear()
    first = desk.keep("a")
    await asyncio.sleep(0.01)
    waiting = [desk.keep(name) for name in "bcde"]
    await asyncio.sleep(0)
    with pytest.raises(Retry, match="wait to be written"):
        await desk.keep("f")
    desk.table.gate.set()
    await asyncio.gather(first, *waiting)
    assert sorted(desk.table.kept) == ["a", "b", "c", "d", "e"]


async def test_a_row_that_is_refused_takes_no_other_with_it(desk: Desk) -> None:
    """Its group is halved until it is found; it is a dead letter, and the others go in."""
    desk.table.gate.clear()
    tasks = [desk.keep(name) for name in ("a", "bad", "c", "d")]
    await asyncio.sleep(0)
    desk.table.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await desk.letters.drain()
    assert [type(result) for result in results] == [type(None), Reject, type(None), type(None)]
    assert desk.table.kept == ["a", "c", "d"]
    (record,) = desk.log.topics["d.deadletter"]
    letter = decode(record).payload
    assert isinstance(letter, RecordDeadlettered)
    assert (letter.first_key, letter.topic) == ("id-bad", "RAW_DATA.new_d")
    assert "bad" in letter.value


async def test_without_the_database_the_client_is_told_what_is_missing(desk: Desk) -> None:
    """The price is not sent; when the database is back, so is the service."""
    desk.table.away = True
    with pytest.raises(Retry, match="mysql: away"):
        await desk.keep("a")
    assert "mysql" in desk.life.waits_for
    desk.table.away = False
    await desk.keep("b")
    assert desk.table.kept == ["b"]
    assert "mysql" not in desk.life.waits_for


async def test_nobody_waits_longer_than_the_bound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that stands still costs a client seconds, not minutes; its request is not written later on."""
    monkeypatch.setattr(journal_module, "KEEP_SECONDS", 0.02)
    desk.table.gate.clear()
    results = await asyncio.gather(desk.keep("a"), desk.keep("b"), return_exceptions=True)
    assert [type(result) for result in results] == [Retry, Retry]
    desk.table.gate.set()
    await desk.keep("c")
    assert desk.table.kept == ["c"]


async def test_a_client_that_goes_away_is_kept_all_the_same(desk: Desk) -> None:
    """Answered or not, the request was asked."""
    desk.table.gate.clear()
    gone = desk.keep("a")
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    desk.table.gate.set()
    await desk.journal.drain()
    assert desk.table.kept == ["a"]
