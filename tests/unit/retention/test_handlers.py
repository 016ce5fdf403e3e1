"""The rows that retention deletes, and those that it leaves, on tables in memory."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from veleta.errors import Retry
from veleta.service import health as health_module
from veleta.service.health import ServiceHealth
from veleta_retention import handlers
from veleta_retention.domain.expiry import Purge
from veleta_retention.handlers import RetentionSweeper, purge_requests

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DELETE_ROWS = 2
Row = tuple[str, datetime]


class MemoryTable:
    """`Table` of rows with an id and a time. It deletes DELETE_ROWS at once, and can be unavailable."""

    name = "purges"

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.deletions: list[int] = []
        self.unavailable = False

    def delete_before(self, cutoff: datetime) -> int:
        return self._delete_some([row for row in self.rows if row[1] < cutoff])

    def _delete_some(self, rows: Sequence[Row]) -> int:
        if self.unavailable:
            raise Retry("mysql", "unavailable")
        for row in rows[:DELETE_ROWS]:
            self.rows.remove(row)
        self.deletions.append(len(rows[:DELETE_ROWS]))
        return len(rows[:DELETE_ROWS])


class MemoryPurgeTable(MemoryTable):
    """`PurgeTable`."""

    def save(self, purge: Purge) -> None:
        self.rows.append((purge.name, purge.at))


class MemoryRequestTable(MemoryTable):
    """`RequestTable`, with the table of purges."""

    def __init__(self, name: str, purges: MemoryPurgeTable, *rows: Row) -> None:
        super().__init__(*rows)
        self.name = name
        self._purges = purges

    def delete_purged(self, purge: Purge) -> int:
        return self._delete_some([row for row in self.rows if row[0] == purge.name and row[1] <= purge.at])

    def pending_purges(self) -> Sequence[Purge]:
        purges = [Purge(*row) for row in self._purges.rows]
        return [p for p in purges if any(row[0] == p.name and row[1] <= p.at for row in self.rows)]


async def now() -> datetime:
    return NOW


class Setup:
    """A sweeper with two tables of requests, three old rows and a new one in each, and a table of two purges."""

    def __init__(self, days: int) -> None:
        rows = [(name, NOW - age * DAY) for name, age in (("a", 40), ("b", 31), ("c", 30.5), ("d", 29))]
        self.purges = MemoryPurgeTable(("long ago", NOW - 40 * DAY), ("lately", NOW - DAY))
        self.tables = [MemoryRequestTable(name, self.purges, *rows) for name in ("new", "refused")]
        self.health = ServiceHealth("retention")
        self.sweeper = RetentionSweeper(self.tables, self.purges, days, self.health, now)

    def remaining(self) -> list[list[str]]:
        return [[row[0] for row in table.rows] for table in (*self.tables, self.purges)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (handlers, "SWEEP_SECONDS"),
        (handlers, "PAUSE_SECONDS"),
        (health_module, "INITIAL_BACKOFF"),
        (health_module, "MAX_BACKOFF"),
    ):
        monkeypatch.setattr(module, name, 0.001)


async def test_expired_rows_are_deleted_a_few_at_a_time() -> None:
    """From both tables of requests. A purge expires with the requests that it could match."""
    setup = Setup(days=30)
    before = {table.name: _count(table.name, "old") for table in setup.tables}
    await setup.sweeper.sweep()
    assert setup.remaining() == [["d"], ["d"], ["lately"]]
    assert [table.deletions for table in setup.tables] == [[2, 1, 0]] * 2
    assert {table.name: _count(table.name, "old") - before[table.name] for table in setup.tables} == {
        "new": 3,
        "refused": 3,
    }


async def test_without_a_number_of_days_nothing_expires() -> None:
    """Neither requests nor purges."""
    setup = Setup(days=0)
    await setup.sweeper.sweep()
    assert setup.remaining() == [["a", "b", "c", "d"]] * 2 + [["long ago", "lately"]]


async def test_a_purged_request_that_is_inserted_later_is_deleted() -> None:
    """By the next sweep. A request with the same id that was received after the purge stays."""
    setup = Setup(days=0)
    late, again = ("lately", NOW - 2 * DAY), ("lately", NOW - DAY / 2)
    for table in setup.tables:
        table.rows = [late, late, late, again]
    before = _count("new", "purged")
    await setup.sweeper.sweep()
    assert [table.rows for table in setup.tables] == [[again]] * 2
    assert _count("new", "purged") - before == 3


async def test_without_the_database_it_is_not_ready() -> None:
    """Not even at its start. When the database is available again, it deletes the rows."""
    setup = Setup(days=30)
    setup.tables[0].unavailable = True
    running = asyncio.create_task(setup.sweeper.run())
    await asyncio.sleep(0.05)
    assert setup.health.unavailable == {"start": "not yet started", "mysql": "mysql: unavailable"}
    setup.tables[0].unavailable = False
    await _until(lambda: not setup.health.unavailable)
    assert setup.remaining() == [["d"], ["d"], ["lately"]]
    setup.health.stopping.set()
    await asyncio.wait_for(running, 5)


async def test_it_sweeps_repeatedly() -> None:
    """Rows that expire while it runs are deleted."""
    setup = Setup(days=30)
    running = asyncio.create_task(setup.sweeper.run())
    await _until(lambda: not setup.health.unavailable)
    setup.tables[1].rows.append(("e", NOW - 31 * DAY))
    await _until(lambda: len(setup.tables[1].rows) == 1)
    setup.health.stopping.set()
    await asyncio.wait_for(running, 5)


async def test_a_stop_does_not_wait_for_the_last_row() -> None:
    """The next start deletes the rest."""
    setup = Setup(days=30)
    setup.health.stopping.set()
    await setup.sweeper.sweep()
    assert [table.deletions for table in setup.tables] == [[2]] * 2


@pytest.mark.failure("F58")
def test_a_purge_is_saved_before_anything_is_deleted() -> None:
    """Otherwise requests that are inserted meanwhile would stay. Only rows with the id are deleted."""
    setup = Setup(days=0)
    setup.tables[0].rows += [("a", NOW)] * 3
    assert purge_requests("a", setup.tables, setup.purges, lambda: NOW) == {"new": 4, "refused": 1}
    assert setup.remaining() == [["b", "c", "d"]] * 2 + [["long ago", "lately", "a"]]
    for table in setup.tables:
        table.unavailable = True
    with pytest.raises(Retry):
        purge_requests("b", setup.tables, setup.purges, lambda: NOW)
    assert setup.purges.rows[-1] == ("b", NOW)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition changes in a thread
            await asyncio.sleep(0.001)


def _count(table: str, reason: str) -> float:
    value = REGISTRY.get_sample_value("veleta_request_rows_deleted_total", {"table": table, "reason": reason})
    return value or 0.0
