"""SIGTERM in the middle of a batch, and while dependencies are frozen: all services end in time, nothing is lost."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.freezing import frozen
from support.listings import repeat_csv, write_csv
from support.testbed import Process, Testbed, admin_login, free_base, http_status, wait_until
from veleta.adapters.mysql import mysql_engine
from veleta.service.lifecycle import SHUTDOWN_SECONDS
from veleta.service.watchdog import STOP_SECONDS
from veleta.tables import batches, dataset_tables, drift_reports, trainings
from veleta.topics import topic
from veleta_local.deployment import BACKING
from veleta_local.run import Run
from veleta_local.supervise import Supervisor
from veleta_local.variables import Variables

ROWS, TIMES = 40, 500
PLACES = 6
FROZEN_SECONDS = 8.0


@pytest.mark.failure("F25")
def test_everything_is_stopped_in_the_middle_and_goes_on(testbed: Testbed, tmp_path: Path) -> None:
    """Three times, each with a batch half published or half loaded. Then every row exists once."""
    write_csv(tmp_path / "small.csv", ROWS, seed=6)
    repeat_csv(tmp_path / "small.csv", tmp_path / "large.csv", TIMES)
    with ExitStack() as stack:

        def service(name: str, user: str | None = None, **settings: Any) -> Process:
            return stack.enter_context(testbed.service(name, user, **settings))

        source = service("source", csv=tmp_path / "large.csv", state=tmp_path / "source")
        source.wait_until_ready(120)
        poller: dict[str, Any] = {"api_url": source.url, "group_number": 1, "poll_every": 4, "at_end": "stop"}
        all_of_them = [
            source,
            service("poller", inbox=tmp_path / "inbox", **poller),
            service("loader", "loader"),
            service("drift", "drift"),
            service("trainer", "trainer", work=tmp_path / "work", trees=5),
            service("inference", "inference"),
        ]
        for _ in range(3):
            wait_until(lambda: all(http_status(f"{p.url}/livez") == 200 for p in all_of_them), 60, "all have started")
            before = _published(testbed)
            wait_until(partial(_more_than, testbed, before), 120, "rows are on their way")
            began = time.monotonic()
            with ThreadPoolExecutor(len(all_of_them)) as threads:
                codes = list(threads.map(Process.stop, all_of_them))
            assert time.monotonic() - began < SHUTDOWN_SECONDS + 5
            assert codes == [0] * len(all_of_them)
            for process in all_of_them:
                process.start()
        wait_until(lambda: _loaded(testbed) == PLACES, 300, "every batch is loaded")
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == PLACES, 120, "every batch is judged")
        wait_until(lambda: all(row.ended_at for row in testbed.sql(sa.select(trainings))), 300, "all trainings ended")
    raw = dataset_tables(testbed.dataset).raw
    counted = testbed.sql(sa.select(raw.c.number, sa.func.count()).group_by(raw.c.number))
    assert {tuple(line) for line in counted} == {(n, ROWS * TIMES) for n in range(PLACES)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run whose batches never end."""
    folder = tmp_path_factory.mktemp("stop")
    write_csv(folder / "listings.csv", 150, seed=4)
    variables = Variables(
        csv=str(folder / "listings.csv"), at_end="restart", poll_every="3", trees="10", port_base=str(free_base())
    )
    made = Run(Path(folder) / "home", variables, report=lambda _line: None)
    try:
        made.start(300)
        yield made
    finally:
        made.stop()


@pytest.mark.failure("F234")
@pytest.mark.parametrize("parts", [("mysql",), ("kafka",), BACKING], ids="+".join)
def test_services_end_in_time_while_dependencies_are_frozen(run: Run, parts: Sequence[str]) -> None:
    """None is killed by supervisord. Afterwards they start, and the loop goes on without a loss."""
    log = run.home / "logs/supervisord.log"
    written = len(log.read_text())
    with frozen(run, parts):
        time.sleep(FROZEN_SECONDS)  # so that the services are in calls that do not return
        began = time.monotonic()
        Supervisor(run).stop(run.services)
        assert time.monotonic() - began < STOP_SECONDS + 5
    assert [line for line in log.read_text()[written:].splitlines() if "SIGKILL" in line] == []
    Supervisor(run).start(run.services)
    wait_until(lambda: all(each.ready for each in run.health(run.parts).values()), 180, "all is ready again")
    loaded = len(_batches(run, "loaded"))
    wait_until(lambda: len(_batches(run, "loaded")) >= loaded + 2, 120, "two more batches are loaded")
    assert not _batches(run, "missed", "refused")


def _batches(run: Run, *states: str) -> Sequence[sa.Row[Any]]:
    engine = mysql_engine(admin_login(run))
    try:
        with engine.begin() as connection:
            return connection.execute(sa.select(batches).where(batches.c.state.in_(states))).all()
    finally:
        engine.dispose()


def _published(testbed: Testbed) -> int:
    """Chunks of rows in the topic."""
    return sum(end for _, end in testbed.log.bounds(topic(testbed.dataset.name, "rows")).values())


def _more_than(testbed: Testbed, before: int) -> bool:
    return _published(testbed) > before


def _loaded(testbed: Testbed) -> int:
    return len(testbed.sql(sa.select(batches).where(batches.c.state == "loaded")))
