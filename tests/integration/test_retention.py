"""Retention as a real process on a real MariaDB: the rows that it deletes, and that the others stay."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from support.http import get, post
from support.models import Models
from support.proxy import Proxy
from support.testbed import Process, Testbed, free_port, http_status, wait_until
from veleta.clock import for_sql, utc_now
from veleta.tables import dataset_tables, purges

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
            for table in (*self.tables.values(), purges):
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
        assert get(f"{retention.url}/readyz")[1]["doing"] == "deletes requests after 30 days"
        assert retention.log.read_text().count('"event": "rows deleted"') == 2


def test_without_a_number_of_days_all_requests_stay(setup: Setup) -> None:
    """This is the default."""
    setup.insert("requests", NOW - 5_000 * DAY, "ancient")
    with setup.testbed.service("retention", "retention") as retention:
        retention.wait_until_ready()
    assert setup.remaining("requests") == ["ancient"]


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
    """By its own or its client's id, after it reached MySQL. A later request with the same id stays.

    A request that is repeated with the same key while the first is still in the journal is the same request.
    """
    testbed, table = setup.testbed, setup.tables["requests"]
    Models(testbed).promote()

    def predict(inference: Process, key: str, name: str) -> None:
        headers = {"Idempotency-Key": key, "X-Request-ID": name}
        assert post(f"{inference.url}/predict", testbed.dataset.example, headers)[0] == 200

    with (
        setup.behind(proxy, "inference") as inference,
        testbed.service("retention", "retention") as retention,
    ):
        inference.wait_until_ready()
        retention.wait_until_ready()
        proxy.cut()
        for key, name in (("key-1", "a"), ("key-2", "b"), ("key-3", "c")):
            predict(inference, key, name)
        assert [setup.purge(name).returncode for name in ("key-1", "b")] == [1, 1]
        predict(inference, "key-1", "a")
        proxy.restore()
        wait_until(lambda: deleted(retention, table, "purged") == 2, what="both are deleted")
        assert setup.remaining("requests") == ["key-3"]
        predict(inference, "key-1", "a")
        wait_until(lambda: setup.remaining("requests") == ["key-1", "key-3"], what="the later one is stored")
