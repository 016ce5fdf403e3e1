"""Kafka, MySQL and MLflow stopped and frozen, one and two at a time, up to five minutes."""

import json
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from support.freezing import freeze, thaw
from support.listings import write_csv
from support.testbed import admin_login, free_base, http_status, wait_until
from veleta.adapters.mysql import mysql_engine
from veleta.tables import batches, drift_reports
from veleta_local.run import Run
from veleta_local.supervise import Supervisor
from veleta_local.variables import Variables

NEEDS = {
    "kafka": ("poller", "loader", "drift", "trainer", "inference"),
    "mysql": ("loader", "drift", "trainer", "inference", "retention"),
    "mlflow": ("trainer", "inference"),
}
"""The services that use a dependency. Inference serves without MLflow: there it is a warning."""
SERVICES = sorted({service for services in NEEDS.values() for service in services})
PAIRS = (("kafka",), ("mysql",), ("mlflow",), ("kafka", "mysql"), ("mysql", "mlflow"), ("kafka", "mlflow"))
OUTAGES = [(parts, 40) for parts in PAIRS] + [((part,), 300) for part in NEEDS]
"""The parts that are down together, and for how many seconds."""
DETECTION_SECONDS = 10.0
"""Every service shows an outage within this time."""


def _stop(run: Run, parts: Sequence[str]) -> None:
    Supervisor(run).stop(parts)


def _start(run: Run, parts: Sequence[str]) -> None:
    Supervisor(run).start(parts)


MANNERS = {"stopped": (_stop, _start), "frozen": (freeze, thaw)}


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


@pytest.mark.failure("F23", "F95", "F223")
@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize(("parts", "seconds"), OUTAGES, ids=[f"{'+'.join(parts)}-{s}" for parts, s in OUTAGES])
def test_every_service_shows_an_outage_and_the_loop_goes_on(
    run: Run, parts: tuple[str, ...], seconds: int, manner: str
) -> None:
    """Within 10 s on /readyz. /livez and /metrics answer. Afterwards all is ready, and no batch is lost."""
    end, begin_again = MANNERS[manner]
    expected = {(service, part) for part in parts for service in NEEDS[part]}
    end(run, parts)
    began, late, unanswered = time.monotonic(), expected, set[str]()
    try:
        while time.monotonic() < began + seconds:
            shown = {(service, part) for service in SERVICES for part in _shown(run, service)}
            if time.monotonic() < began + DETECTION_SECONDS:
                late = late - shown
            unanswered |= {url for url in _health_urls(run) if http_status(url) != HTTPStatus.OK}
            time.sleep(0.5)
    finally:
        begin_again(run, parts)
    assert (late, unanswered) == (set(), set())
    wait_until(lambda: all(each.ready for each in run.health(run.parts).values()), 120, "all is ready again")
    loaded = _settled(run)
    wait_until(lambda: _settled(run) >= loaded + 2, 120, "two more batches are loaded and judged")
    assert not _lost(run)


def _health_urls(run: Run) -> list[str]:
    return [f"{run.url(service)}{path}" for service in SERVICES for path in ("/livez", "/metrics")]


def _shown(run: Run, service: str) -> set[str]:
    """What /readyz shows as down, required or not."""
    try:
        with urlopen(run.health_url(service), timeout=5) as response:
            body = json.loads(response.read())
    except HTTPError as error:
        body = json.loads(error.read())
    except OSError:
        return set()
    return {*body.get("waits_for", {}), *body.get("warnings", {})}


def _settled(run: Run) -> int:
    """Batches that are loaded and have a verdict."""
    judged = {(row.epoch, row.number) for row in _sql(run, sa.select(drift_reports))}
    loaded = {(row.epoch, row.number) for row in _sql(run, sa.select(batches).where(batches.c.state == "loaded"))}
    return len(judged & loaded)


def _lost(run: Run) -> list[Any]:
    return _sql(run, sa.select(batches).where(batches.c.state.in_(("refused", "missed"))))


def _sql(run: Run, query: sa.Executable) -> list[Any]:
    engine = mysql_engine(admin_login(run))
    try:
        with engine.begin() as connection:
            return list(connection.execute(query).all())
    finally:
        engine.dispose()
