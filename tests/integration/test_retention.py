"""Retention, a real process on a real MariaDB: what it deletes, and that nothing else goes."""

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
from support.world import Process, World, eventually, free_port, http_status
from veleta.clock import for_sql, utc_now
from veleta.tables import dataset_tables, purges

NOW = for_sql(utc_now())
DAY = timedelta(days=1)
GROUP = 1_000
KINDS = ("requests", "refused")


class Desk:
    """A deployment's two tables of requests, empty, and what acts on them."""

    def __init__(self, world: World) -> None:
        self.world = world
        made = dataset_tables(world.dataset)
        self.tables = {"requests": made.requests, "refused": made.refused}
        with world.admin.begin() as sql:
            for table in (*self.tables.values(), purges):
                sql.execute(sa.delete(table))

    def keep(self, kind: str, at: datetime, *names: str, client: str | None = None, items: int = 1) -> None:
        """Rows of requests with these ids, as inference would have written them."""
        row: dict[str, Any] = {"client_request_id": client, "received_at": at, "http_status": 200}
        if kind == "refused":
            rows = [{**row, "request_id": name, "path": "/predict", "reason": "r", "body": "{}"} for name in names]
        else:
            row |= {"answered_at": at, "model_version": 1, "latency_ms": 1.0}
            rows = [{**row, "request_id": name, "item": item} for name in names for item in range(items)]
        with self.world.admin.begin() as sql:
            sql.execute(sa.insert(self.tables[kind]), rows)

    def left(self, kind: str) -> list[str]:
        """The ids of all rows, in their order."""
        ids = self.tables[kind].c.request_id
        return [row[0] for row in self.world.sql(sa.select(ids).order_by(ids))]

    def older(self, than: datetime) -> int:
        """How many rows of answered requests are from before a moment."""
        table = self.tables["requests"]
        return int(self.world.sql(sa.select(sa.func.count()).where(table.c.received_at < than))[0][0])

    def purge(self, name: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """The command, with the login of retention."""
        environment = self.world.environment("retention", "retention") | variables
        command = [sys.executable, "-m", "veleta_retention.purge", name]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    @contextmanager
    def behind(self, proxy: Proxy, service: str, **settings: Any) -> Iterator[Process]:
        """A process whose way to MySQL can be cut."""
        port = free_port()
        environment = self.world.environment(service, service, port=port, **settings)
        process = Process(service, port, environment | {"MYSQL_PORT": str(proxy.port)}, self.world.folder)
        process.start()
        try:
            yield process
        finally:
            process.stop()


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    made = Proxy(world.mysql("retention").port)
    yield made
    made.cut()


def deleted(retention: Process, table: sa.Table, reason: str) -> float:
    """What the service's metric says."""
    with urlopen(f"{retention.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    labels = f'{{reason="{reason}",table="{table.fullname}"}}'
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith(f"veleta_request_rows_deleted_total{labels}")
    )


def test_only_what_is_too_old_is_deleted(desk: Desk) -> None:
    """From both tables, whole requests; log and metric say how many rows."""
    for kind in KINDS:
        desk.keep(kind, NOW - 31 * DAY, "old", "older", items=3)
        desk.keep(kind, NOW - 29 * DAY, "new", "newer", items=3)
    with desk.world.service("retention", "retention", keep_requests_days=30) as retention:
        retention.ready()
        assert desk.left("requests") == ["new"] * 3 + ["newer"] * 3
        assert desk.left("refused") == ["new", "newer"]
        assert [deleted(retention, table, "old") for table in desk.tables.values()] == [6, 2]
        assert get(f"{retention.url}/readyz")[1]["doing"] == "keeps requests for 30 days"
        assert retention.log.read_text().count('"event": "deleted"') == 2


def test_without_a_number_of_days_all_stay(desk: Desk) -> None:
    """That is the default."""
    desk.keep("requests", NOW - 5_000 * DAY, "ancient")
    with desk.world.service("retention", "retention") as retention:
        retention.ready()
    assert desk.left("requests") == ["ancient"]


@pytest.mark.failure("F60")
def test_many_rows_go_bit_by_bit_while_others_come(desk: Desk) -> None:
    """A statement deletes so many and no more, and those who write meanwhile lose nothing."""
    for part in range(20):
        desk.keep("requests", NOW - 40 * DAY, *(f"old-{part}-{n}" for n in range(GROUP)))
    over, written = threading.Event(), list[str]()

    def write() -> None:
        while not over.is_set():
            written.append(f"new-{len(written):09}")
            desk.keep("requests", NOW, written[-1])

    writing = threading.Thread(target=write)
    writing.start()
    counts = list[int]()

    def gone() -> bool:
        counts.append(desk.older(NOW - 30 * DAY))
        return counts[-1] == 0

    try:
        with desk.world.service("retention", "retention", keep_requests_days=30):
            eventually(gone, what="the old ones are gone")
    finally:
        over.set()
        writing.join()
    assert [count for count in counts if count % GROUP] == []
    assert len(set(counts)) > 3
    assert desk.left("requests") == written


@pytest.mark.failure("F59")
def test_without_mysql_it_waits_and_says_so(desk: Desk, proxy: Proxy) -> None:
    """At its start and later; when it is back, what is to go goes."""
    desk.keep("requests", NOW - 31 * DAY, "old")
    proxy.cut()
    with desk.behind(proxy, "retention", keep_requests_days=30) as retention:
        for _ in range(2):
            eventually(lambda: http_status(f"{retention.url}/readyz") == 503, what="/readyz says so")
            eventually(lambda: "mysql" in get(f"{retention.url}/readyz")[1]["waits_for"], what="it names MySQL")
            proxy.restore()
            retention.ready()
            eventually(lambda: desk.left("requests") == [], what="the old one is gone")
            proxy.cut()
            desk.keep("requests", NOW - 31 * DAY, "old again")
        assert http_status(f"{retention.url}/livez") == 200
        proxy.restore()


def test_a_purge_deletes_a_request_by_either_of_its_names(desk: Desk) -> None:
    """All its rows from both tables, whatever their age; nobody else's. It says how many."""
    names = [table.fullname for table in desk.tables.values()]
    for kind in KINDS:
        desk.keep(kind, NOW - DAY, "mine", items=2)
        desk.keep(kind, NOW - DAY, f"{kind}-1", f"{kind}-2", client="of me")
        desk.keep(kind, NOW - DAY, "somebody's", client="mine too", items=2)
    done = desk.purge("mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"rows deleted: 2 of {names[0]}, 1 of {names[1]}\n"
    done = desk.purge("of me")
    assert done.stdout == f"rows deleted: 2 of {names[0]}, 2 of {names[1]}\n"
    assert desk.left("requests") == ["somebody's"] * 2
    assert desk.left("refused") == ["somebody's"]


@pytest.mark.failure("F59")
def test_a_purge_of_what_is_not_there_says_so(desk: Desk) -> None:
    """In one line, with 1; so does one that finds no database."""
    desk.keep("requests", NOW, "somebody's")
    done = desk.purge("mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "purge: no request in MySQL is called mine; one that still waits in a journal is deleted when it comes\n"
    )
    done = desk.purge("somebody's", MYSQL_PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("purge: mysql: ")
    assert done.stderr.count("\n") == 1
    assert desk.left("requests") == ["somebody's"]


@pytest.mark.failure("F58")
def test_what_waits_in_a_journal_does_not_come_back_after_its_purge(desk: Desk, proxy: Proxy) -> None:
    """By its id or by its client's name: it reaches MySQL, and is deleted there. What is asked later is kept.

    What is asked again under the same key while the first still waits is one request with it.
    """
    world, table = desk.world, desk.tables["requests"]
    Models(world).promote()

    def ask(inference: Process, key: str, name: str) -> None:
        headers = {"Idempotency-Key": key, "X-Request-ID": name}
        assert post(f"{inference.url}/predict", world.dataset.example, headers)[0] == 200

    with (
        desk.behind(proxy, "inference") as inference,
        world.service("retention", "retention") as retention,
    ):
        inference.ready()
        retention.ready()
        proxy.cut()
        for key, name in (("key-1", "a"), ("key-2", "b"), ("key-3", "c")):
            ask(inference, key, name)
        assert [desk.purge(name).returncode for name in ("key-1", "b")] == [1, 1]
        ask(inference, "key-1", "a")
        proxy.restore()
        eventually(lambda: deleted(retention, table, "purged") == 2, what="both are deleted")
        assert desk.left("requests") == ["key-3"]
        ask(inference, "key-1", "a")
        eventually(lambda: desk.left("requests") == ["key-1", "key-3"], what="the later one is kept")
