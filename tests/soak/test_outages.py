"""Kafka, MySQL and MLflow stopped for 20 s and for 5 minutes, one and two at a time."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from support.listings import write_csv
from support.testbed import admin_login, free_base, wait_until
from veleta.adapters.mysql import mysql_engine
from veleta.tables import batches, drift_reports
from veleta_local.run import Run
from veleta_local.supervise import Supervisor
from veleta_local.variables import Variables

NEEDS = {
    "kafka": ("poller", "loader", "drift", "trainer", "inference"),
    "mysql": ("loader", "drift", "trainer", "inference", "retention"),
    "mlflow": ("trainer",),
}
"""The services that report a dependency on /readyz. Inference serves without the registry."""
STOPPED = (("kafka",), ("mysql",), ("mlflow",), ("kafka", "mysql"), ("mysql", "mlflow"), ("kafka", "mlflow"))
DETECTION_SECONDS = 45.0
"""Seconds within which an outage is reported: a check runs every 10 s, and a Kafka call may take 15 s."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run whose batches never end."""
    folder = tmp_path_factory.mktemp("outages")
    write_csv(folder / "listings.csv", 150, seed=4)
    variables = Variables(
        csv=str(folder / "listings.csv"), at_end="restart", poll_every="5", trees="10", port_base=str(free_base())
    )
    made = Run(Path(folder) / "home", variables, report=lambda _line: None)
    try:
        made.start(300)
        yield made
    finally:
        made.stop()


@pytest.mark.failure("F23", "F95")
@pytest.mark.parametrize("seconds", [20, 300])
@pytest.mark.parametrize("stopped", STOPPED, ids="+".join)
def test_stopped_parts_are_named_and_the_loop_goes_on(run: Run, stopped: tuple[str, ...], seconds: float) -> None:
    """/readyz of each dependent service names it. After its start all services become ready, and batches flow."""
    began = time.monotonic()
    Supervisor(run).stop(stopped)
    reported: set[tuple[str, str]] = set()
    expected = {(service, part) for part in stopped for service in NEEDS[part]}
    while time.monotonic() - began < seconds:
        reported |= {(service, part) for service in run.services for part in _waits_for(run, service)}
        time.sleep(0.5)
    Supervisor(run).start(stopped)
    assert expected <= reported if seconds > DETECTION_SECONDS else reported & expected
    wait_until(lambda: all(each.ready for each in run.health(run.parts).values()), 120, "all is ready again")
    loaded = _settled(run)
    wait_until(lambda: _settled(run) >= loaded + 2, 120, "two more batches are loaded and judged")
    assert not _refused(run)


def _waits_for(run: Run, service: str) -> dict[str, str]:
    try:
        with urlopen(run.health_url(service), timeout=5):
            return {}
    except HTTPError as error:
        try:
            return dict(json.loads(error.read()).get("waits_for", {}))
        except ValueError:
            return {}
    except (URLError, OSError):
        return {}


def _settled(run: Run) -> int:
    """Batches that are loaded and have a verdict."""
    judged = {(row.epoch, row.number) for row in _sql(run, sa.select(drift_reports))}
    loaded = {(row.epoch, row.number) for row in _sql(run, sa.select(batches).where(batches.c.state == "loaded"))}
    return len(judged & loaded)


def _refused(run: Run) -> list[Any]:
    return _sql(run, sa.select(batches).where(batches.c.state == "refused"))


def _sql(run: Run, query: sa.Executable) -> list[Any]:
    engine = mysql_engine(admin_login(run))
    try:
        with engine.begin() as connection:
            return list(connection.execute(query).all())
    finally:
        engine.dispose()
