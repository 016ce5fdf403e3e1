"""Retention: what it deletes and what it leaves, on tables in memory."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from veleta.errors import Retry, Stop
from veleta.service import health as health_module
from veleta.service.health import ServiceHealth
from veleta_retention import handlers
from veleta_retention import purge as command
from veleta_retention.domain.expiry import Purge, kept_since
from veleta_retention.handlers import Retention, purge

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GROUP = 2
Row = tuple[str, datetime]


class MemoryTable:
    """`Table` of rows with a name and a time; deletes GROUP rows at once, and is away when told."""

    name = "purges"

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.groups: list[int] = []
        self.away = False

    def delete_older(self, than: datetime) -> int:
        return self._delete_some([row for row in self.rows if row[1] < than])

    def _delete_some(self, rows: Sequence[Row]) -> int:
        if self.away:
            raise Retry("mysql", "away")
        for row in rows[:GROUP]:
            self.rows.remove(row)
        self.groups.append(len(rows[:GROUP]))
        return len(rows[:GROUP])


class MemoryPurges(MemoryTable):
    """`Purges`."""

    def add(self, purge: Purge) -> None:
        self.rows.append((purge.name, purge.at))


class MemoryRequests(MemoryTable):
    """`Requests` beside these purges."""

    def __init__(self, name: str, purges: MemoryPurges, *rows: Row) -> None:
        super().__init__(*rows)
        self.name = name
        self._purges = purges

    def delete_purged(self, purge: Purge) -> int:
        return self._delete_some([row for row in self.rows if row[0] == purge.name and row[1] <= purge.at])

    def purged(self) -> Sequence[Purge]:
        meant = [Purge(*each) for each in self._purges.rows]
        return [p for p in meant if any(row[0] == p.name and row[1] <= p.at for row in self.rows)]


class Desk:
    """Two tables of requests, in each three old rows and a new one; what was purged; and their retention."""

    def __init__(self, days: int) -> None:
        rows = [(name, NOW - age * DAY) for name, age in (("a", 40), ("b", 31), ("c", 30.5), ("d", 29))]
        self.purges = MemoryPurges(("long ago", NOW - 40 * DAY), ("lately", NOW - DAY))
        self.tables = [MemoryRequests(name, self.purges, *rows) for name in ("new", "refused")]
        self.health = ServiceHealth("retention")
        self.retention = Retention(self.tables, self.purges, days, self.health, lambda: NOW)

    def left(self) -> list[list[str]]:
        return [[row[0] for row in table.rows] for table in (*self.tables, self.purges)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (handlers, "SWEEP_SECONDS"),
        (handlers, "BREATH_SECONDS"),
        (health_module, "INITIAL_BACKOFF"),
        (health_module, "MAX_BACKOFF"),
    ):
        monkeypatch.setattr(module, name, 0.001)


def test_so_many_days_are_kept() -> None:
    """To the moment; with 0 there is no moment before which anything is too old."""
    assert kept_since(NOW, 30) == datetime(2026, 1, 30, tzinfo=UTC)
    assert kept_since(NOW, 0) is None


async def test_what_is_too_old_is_deleted_bit_by_bit() -> None:
    """From both tables, few rows at once; a purge goes too: whatever it could still mean is as old."""
    desk = Desk(days=30)
    before = {table.name: _count(table.name, "old") for table in desk.tables}
    await desk.retention.sweep()
    assert desk.left() == [["d"], ["d"], ["lately"]]
    assert [table.groups for table in desk.tables] == [[2, 1, 0]] * 2
    assert {table.name: _count(table.name, "old") - before[table.name] for table in desk.tables} == {
        "new": 3,
        "refused": 3,
    }


async def test_without_a_number_of_days_nothing_is_too_old() -> None:
    """Requests and purges stay for ever."""
    desk = Desk(days=0)
    await desk.retention.sweep()
    assert desk.left() == [["a", "b", "c", "d"]] * 2 + [["long ago", "lately"]]


async def test_what_comes_out_of_a_journal_after_its_purge_is_deleted() -> None:
    """By the next sweep; what was received under the same name after the purge is another request."""
    desk = Desk(days=0)
    late, again = ("lately", NOW - 2 * DAY), ("lately", NOW - DAY / 2)
    for table in desk.tables:
        table.rows = [late, late, late, again]
    before = _count("new", "purged")
    await desk.retention.sweep()
    assert [table.rows for table in desk.tables] == [[again]] * 2
    assert _count("new", "purged") - before == 3


async def test_without_the_database_it_waits() -> None:
    """/readyz says what is away, from the start too; when it is back, what is to go goes."""
    desk = Desk(days=30)
    desk.tables[0].away = True
    running = asyncio.create_task(desk.retention.run())
    await asyncio.sleep(0.05)
    assert desk.health.unavailable == {"start": "not yet started", "mysql": "mysql: away"}
    desk.tables[0].away = False
    await _until(lambda: not desk.health.unavailable)
    assert desk.left() == [["d"], ["d"], ["lately"]]
    desk.health.stopping.set()
    await asyncio.wait_for(running, 5)


async def test_it_looks_again_and_again() -> None:
    """What comes while it runs is deleted without a new start."""
    desk = Desk(days=30)
    running = asyncio.create_task(desk.retention.run())
    await _until(lambda: not desk.health.unavailable)
    desk.tables[1].rows.append(("e", NOW - 31 * DAY))
    await _until(lambda: len(desk.tables[1].rows) == 1)
    desk.health.stopping.set()
    await asyncio.wait_for(running, 5)
    assert desk.health.activity == "keeps requests for 30 days"


async def test_a_stop_does_not_wait_for_the_last_row() -> None:
    """However much is left: the next start goes on."""
    desk = Desk(days=30)
    desk.health.stopping.set()
    await desk.retention.sweep()
    assert [table.groups for table in desk.tables] == [[2]] * 2


@pytest.mark.failure("F58")
def test_a_purge_is_remembered_before_anything_is_deleted() -> None:
    """Else what comes in between would stay. Only what bears the name goes: how much is told by table."""
    desk = Desk(days=0)
    desk.tables[0].rows += [("a", NOW)] * 3
    assert purge("a", desk.tables, desk.purges, lambda: NOW) == {"new": 4, "refused": 1}
    assert desk.left() == [["b", "c", "d"]] * 2 + [["long ago", "lately", "a"]]
    for table in desk.tables:
        table.away = True
    with pytest.raises(Retry):
        purge("b", desk.tables, desk.purges, lambda: NOW)
    assert desk.purges.rows[-1] == ("b", NOW)


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_what_can_be_no_name_is_told(name: str) -> None:
    """Before the database is asked."""
    with pytest.raises(Stop, match="an id has 1 to 255 characters"):
        command.main(name)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
            await asyncio.sleep(0.001)


def _count(table: str, reason: str) -> float:
    found = REGISTRY.get_sample_value("veleta_request_rows_deleted_total", {"table": table, "reason": reason})
    return found or 0.0
