"""Retention as a real process on a real MariaDB: the rows that it deletes, and that the others stay."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.http import get, post
from support.listings import api_rows
from support.models import Models
from support.proxy import Proxy
from support.testbed import Process, Testbed, free_port, http_status, wait_until
from veleta.batches import BatchReader, RowsDeleted
from veleta.clock import for_sql, utc_now
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.ports import ARTIFACTS
from veleta.tables import batches, checkpoints, dataset_tables, limits, promotions, purges, sweeps, trainings
from veleta.topics import topic

NOW = for_sql(utc_now())
DAY = timedelta(days=1)
DELETE_ROWS = 1_000
KINDS = ("requests", "refused")


class Setup:
    """A deployment with two empty tables of requests, and the processes and commands that change them."""

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed
        tables = dataset_tables(testbed.dataset)
        self.tables = {"requests": tables.requests, "refused": tables.refused}
        with testbed.admin.begin() as sql:
            for table in (*self.tables.values(), purges, sweeps):
                sql.execute(sa.delete(table))

    def insert(self, kind: str, at: datetime, *names: str, client: str | None = None, items: int = 1) -> None:
        """Insert rows of requests with these ids, as inference does."""
        row: dict[str, Any] = {"client_request_id": client, "received_at": at, "http_status": 200}
        if kind == "refused":
            rows = [{**row, "request_id": name, "path": "/predict", "reason": "r", "body": "{}"} for name in names]
        else:
            row |= {"answered_at": at, "model_version": 1, "latency_ms": 1.0}
            rows = [{**row, "request_id": name, "item": item} for name in names for item in range(items)]
        with self.testbed.admin.begin() as sql:
            sql.execute(sa.insert(self.tables[kind]), rows)

    def remaining(self, kind: str) -> list[str]:
        """The ids of all rows, in order."""
        ids = self.tables[kind].c.request_id
        return [row[0] for row in self.testbed.sql(sa.select(ids).order_by(ids))]

    def count_before(self, time: datetime) -> int:
        """The number of rows of answered requests from before a time."""
        table = self.tables["requests"]
        return int(self.testbed.sql(sa.select(sa.func.count()).where(table.c.received_at < time))[0][0])

    def purge(self, name: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run the command with the login of retention."""
        environment = self.testbed.environment("retention", "retention") | variables
        command = [sys.executable, "-m", "veleta_retention.purge", name]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    @contextmanager
    def behind(self, proxy: Proxy, service: str, **settings: Any) -> Iterator[Process]:
        """Run a process that reaches MySQL through a proxy."""
        port = free_port()
        environment = self.testbed.environment(service, service, port=port, **settings)
        process = Process(service, port, environment | {"MYSQL_PORT": str(proxy.port)}, self.testbed.folder)
        process.start()
        try:
            yield process
        finally:
            process.stop()


@pytest.fixture
def setup(testbed: Testbed) -> Setup:
    return Setup(testbed)


@pytest.fixture
def proxy(testbed: Testbed) -> Iterator[Proxy]:
    made = Proxy(testbed.mysql("retention").port)
    yield made
    made.cut()


def deleted(retention: Process, table: sa.Table, reason: str) -> float:
    """The value of the service's metric."""
    with urlopen(f"{retention.url}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    labels = f'{{reason="{reason}",table="{table.fullname}"}}'
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith(f"veleta_request_rows_deleted_total{labels}")
    )


def test_only_expired_requests_are_deleted(setup: Setup) -> None:
    """From both tables, with all their items. Log and metric show the number of rows."""
    for kind in KINDS:
        setup.insert(kind, NOW - 31 * DAY, "old", "older", items=3)
        setup.insert(kind, NOW - 29 * DAY, "new", "newer", items=3)
    with setup.testbed.service("retention", "retention", keep_requests_days=30) as retention:
        retention.wait_until_ready()
        assert setup.remaining("requests") == ["new"] * 3 + ["newer"] * 3
        assert setup.remaining("refused") == ["new", "newer"]
        assert [deleted(retention, table, "old") for table in setup.tables.values()] == [6, 2]
        assert get(f"{retention.url}/readyz")[1]["doing"].startswith("deletes requests after 30 days; rows of all but ")
        assert retention.log.read_text().count('"event": "rows deleted"') == 2


def test_without_a_number_of_days_all_requests_stay(setup: Setup) -> None:
    """This is the default."""
    setup.insert("requests", NOW - 5_000 * DAY, "ancient")
    with setup.testbed.service("retention", "retention") as retention:
        retention.wait_until_ready()
    assert setup.remaining("requests") == ["ancient"]


@pytest.mark.failure("F398")
def test_a_clock_that_jumped_while_retention_was_down_deletes_nothing(setup: Setup) -> None:
    """The last sweep was long ago: a run that was stopped, or a wrong clock. /readyz shows it, also after a restart."""
    setup.insert("requests", NOW - 2 * DAY, "new")
    with setup.testbed.admin.begin() as sql:
        sql.execute(sa.insert(sweeps).values(name="retention", trusted_at=NOW - 3650 * DAY))
    for _ in range(2):
        with setup.testbed.service("retention", "retention", keep_requests_days=1) as retention:
            retention.wait_until_ready()
            assert "3,650.0 days ahead" in get(f"{retention.url}/readyz")[1]["warnings"]["clock"]
    assert setup.remaining("requests") == ["new"]


@pytest.mark.failure("F60")
def test_many_rows_are_deleted_in_steps_while_others_are_inserted(setup: Setup) -> None:
    """A statement deletes at most DELETE_ROWS, and no concurrent insert is lost."""
    for part in range(20):
        setup.insert("requests", NOW - 40 * DAY, *(f"old-{part}-{n}" for n in range(DELETE_ROWS)))
    stopped, written = threading.Event(), list[str]()

    def write() -> None:
        while not stopped.is_set():
            written.append(f"new-{len(written):09}")
            setup.insert("requests", NOW, written[-1])

    writing = threading.Thread(target=write)
    writing.start()
    counts = list[int]()

    def all_deleted() -> bool:
        counts.append(setup.count_before(NOW - 30 * DAY))
        return counts[-1] == 0

    try:
        with setup.testbed.service("retention", "retention", keep_requests_days=30):
            wait_until(all_deleted, what="the old rows are deleted")
    finally:
        stopped.set()
        writing.join()
    assert [count for count in counts if count % DELETE_ROWS] == []
    assert len(set(counts)) > 3
    assert setup.remaining("requests") == written


@pytest.mark.failure("F59")
def test_without_mysql_it_is_not_ready(setup: Setup, proxy: Proxy) -> None:
    """At its start and later. When MySQL is available again, expired rows are deleted."""
    setup.insert("requests", NOW - 31 * DAY, "old")
    proxy.cut()
    with setup.behind(proxy, "retention", keep_requests_days=30) as retention:
        for _ in range(2):
            wait_until(lambda: http_status(f"{retention.url}/readyz") == 503, what="it is not ready")
            wait_until(lambda: "mysql" in get(f"{retention.url}/readyz")[1]["waits_for"], what="it names MySQL")
            proxy.restore()
            retention.wait_until_ready()
            wait_until(lambda: setup.remaining("requests") == [], what="the old row is deleted")
            proxy.cut()
            setup.insert("requests", NOW - 31 * DAY, "old again")
        assert http_status(f"{retention.url}/livez") == 200
        proxy.restore()


def test_a_purge_deletes_a_request_by_either_of_its_ids(setup: Setup) -> None:
    """All its rows from both tables, whatever their age, and no others. It prints how many."""
    names = [table.fullname for table in setup.tables.values()]
    for kind in KINDS:
        setup.insert(kind, NOW - DAY, "mine", items=2)
        setup.insert(kind, NOW - DAY, f"{kind}-1", f"{kind}-2", client="of me")
        setup.insert(kind, NOW - DAY, "other", client="mine too", items=2)
    done = setup.purge("mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"rows deleted: 2 of {names[0]}, 1 of {names[1]}\n"
    done = setup.purge("of me")
    assert done.stdout == f"rows deleted: 2 of {names[0]}, 2 of {names[1]}\n"
    assert setup.remaining("requests") == ["other"] * 2
    assert setup.remaining("refused") == ["other"]


@pytest.mark.failure("F138")
def test_a_purge_of_an_unknown_id_fails(setup: Setup) -> None:
    """With 1 and a one-line reason. A purge without the database fails in the same way."""
    setup.insert("requests", NOW, "other")
    done = setup.purge("mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "purge: MySQL has no request with the id mine; one that is still in a journal is deleted later\n"
    )
    done = setup.purge("other", MYSQL_PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("purge: mysql: ")
    assert done.stderr.count("\n") == 1
    assert setup.remaining("requests") == ["other"]


@pytest.mark.failure("F58")
def test_a_purged_request_in_a_journal_is_deleted_later(setup: Setup, proxy: Proxy) -> None:
    """By its own or its client's id, after it reached MySQL. A later request with the same id stays."""
    testbed, table = setup.testbed, setup.tables["requests"]
    Models(testbed).promote()

    def predict(inference: Process, name: str) -> str:
        """The id of a request with the client's id `name`."""
        status, body = post(f"{inference.url}/predict", testbed.dataset.example, {"X-Request-ID": name})
        assert status == 200
        return str(body["request_id"])

    with (
        setup.behind(proxy, "inference") as inference,
        testbed.service("retention", "retention") as retention,
    ):
        inference.wait_until_ready()
        retention.wait_until_ready()
        proxy.cut()
        first, _, third = (predict(inference, name) for name in "abc")
        assert [setup.purge(name).returncode for name in (first, "b")] == [1, 1]
        proxy.restore()
        wait_until(lambda: deleted(retention, table, "purged") == 2, what="both are deleted")
        assert setup.remaining("requests") == [third]
        later = predict(inference, "b")
        wait_until(lambda: setup.remaining("requests") == [third, later], what="the later one is stored")


def rows_of(testbed: Testbed) -> dict[str, sa.Table]:
    tables = dataset_tables(testbed.dataset)
    return {"raw": tables.raw, "clean": tables.clean}


def load_batches(testbed: Testbed, epochs: range) -> list[BatchClosed]:
    """Publish one batch of each epoch, and insert what loader and drift write about them."""
    manifests = [publish_batch(testbed.log, testbed.dataset, epoch, 0, api_rows(0, 30, epoch)) for epoch in epochs]
    name = topic(testbed.dataset.name, "batches")
    end = testbed.log.bounds(name)[0][1]
    with testbed.admin.begin() as sql:
        for table in (batches, checkpoints, promotions, trainings, *rows_of(testbed).values()):
            sql.execute(sa.delete(table))
        for service in ("loader", "drift"):
            row = {"service": service, "topic": name, "partition_no": 0, "next_offset": end}
            sql.execute(sa.insert(checkpoints), row)
        loaded = [{"epoch": epoch, "number": 0, "state": "loaded"} for epoch in epochs]
        sql.execute(sa.insert(batches), loaded)
        keys = [{"epoch": epoch, "number": 0, "row_no": row} for epoch in epochs for row in range(30)]
        for table in rows_of(testbed).values():
            sql.execute(sa.insert(table), keys)
    return manifests


def epochs_in(testbed: Testbed, kind: str) -> list[int]:
    column = rows_of(testbed)[kind].c.epoch
    return [row[0] for row in testbed.sql(sa.select(column).distinct().order_by(column))]


def first_row(testbed: Testbed) -> int:
    """The first offset of the topic `rows`."""
    return testbed.log.bounds(topic(testbed.dataset.name, "rows"))[0][0]


@pytest.mark.failure("F250")
def test_rows_of_old_epochs_are_deleted_everywhere(testbed: Testbed) -> None:
    """From both tables and the topic. The rows of kept epochs are read as before; a training keeps its own."""
    manifests = load_batches(testbed, range(1, 6))
    fixed = {"requested_at": NOW, "recipe": None}
    waiting = {**fixed, "request_id": "a", "state": "waiting", "cause": {"epoch": 3}}
    recipe = {"batches": [{"epoch": 4, "number": 0}], "more_holdout": [{"epoch": 1, "number": 0}]}
    active = {**fixed, "request_id": "b", "state": "fitted", "cause": {"epoch": 4}, "recipe": recipe}
    with testbed.admin.begin() as sql:
        sql.execute(sa.insert(trainings), [waiting, active])
    reader = BatchReader(testbed.log)
    with testbed.service("retention", "retention", keep_epochs=2):
        wait_until(lambda: first_row(testbed) == manifests[2].ranges[0].first, what="two epochs are deleted")
        assert epochs_in(testbed, "raw") == epochs_in(testbed, "clean") == [3, 4, 5]
        with testbed.admin.begin() as sql:
            sql.execute(sa.update(trainings).values(state="finished"))
        wait_until(lambda: first_row(testbed) == manifests[3].ranges[0].first, what="three epochs are deleted")
    assert epochs_in(testbed, "raw") == epochs_in(testbed, "clean") == [4, 5]
    for deleted_one in manifests[:3]:
        with pytest.raises(RowsDeleted):
            list(reader.chunks(deleted_one))
    assert [sum(map(len, reader.chunks(kept))) for kept in manifests[3:]] == [30, 30]


def test_artifacts_of_old_versions_are_deleted(testbed: Testbed, tmp_path: Path) -> None:
    """The newest one, the last two champions and one with an alias keep theirs. The others get a tag."""
    load_batches(testbed, range(20, 21))
    models = Models(testbed)
    versions = [models.register() for _ in range(6)]
    decided = ["rejected"] * 4 + ["promoted"] * 2
    outcomes = dict(zip([v.number for v in versions], decided, strict=True))
    models.set_champion(versions[1], seq=9)  # by hand, and the trainer has not yet noticed
    with testbed.admin.begin() as sql:
        common = {"reason": "test", "actor": "test", "decided_at": NOW}
        rows = [{"seq": n, "version": n, "decision": outcome, **common} for n, outcome in outcomes.items()]
        sql.execute(sa.insert(promotions), rows)

    def tagged() -> list[int]:
        found = [models.registry.version(version.number) for version in versions]
        return [each.number for each in found if each and ARTIFACTS in each.tags]

    with testbed.service("retention", "retention", keep_versions=1) as retention:
        wait_until(lambda: tagged() == [versions[0].number, versions[2].number], what="two are deleted")
        retention.wait_until_ready()
    for version in versions:
        current = models.registry.version(version.number)
        assert current
        if ARTIFACTS in current.tags:
            with pytest.raises(Reject, match="deleted by retention"):
                models.registry.download_native(current, tmp_path)
        else:
            assert models.registry.download_native(current, tmp_path).exists()


def test_a_deployment_without_limits_keeps_everything_and_shows_it(testbed: Testbed) -> None:
    """An earlier version began it: a default must not delete its rows."""
    load_batches(testbed, range(30, 45))
    with testbed.admin.begin() as sql:
        sql.execute(sa.delete(limits))
    with testbed.service("retention", "retention") as retention:
        retention.wait_until_ready()
        wait_until(lambda: "limits" in get(f"{retention.url}/readyz")[1]["warnings"], what="the warning is shown")
    assert epochs_in(testbed, "raw") == list(range(30, 45))
