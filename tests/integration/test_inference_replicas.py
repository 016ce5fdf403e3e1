"""Replicas of inference: processes with ports of their own that share the folder of the journals."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import orjson
import pytest
import sqlalchemy as sa

from support.http import get, post
from support.models import Models, served_model
from support.proxy import Proxy
from support.testbed import Process, Testbed, free_port, http_status, wait_until
from veleta.tables import dataset_tables

REPLICAS = 3
REQUESTS = 50
PROMOTIONS = 5
PROMOTION_SECONDS = 5.0
"""In which every replica serves a promoted version: 0.5 s on a quiet machine, some 1 s on a busy one."""


@dataclass
class Replica:
    """A replica, with a proxy of its own to MySQL."""

    process: Process
    mysql: Proxy
    answered: list[str] = field(default_factory=list)
    """The ids of the requests that it answered."""


class Setup:
    """Replicas, and their models."""

    def __init__(self, testbed: Testbed, stack: ExitStack) -> None:
        self.testbed = testbed
        self.models = Models(testbed)
        self.journal = testbed.folder / "journal/answered"
        self._stack = stack
        self.replicas = [self.new_replica() for _ in range(REPLICAS)]

    def new_replica(self) -> Replica:
        """A replica that is started and may not yet be ready. Only an event shows it a promotion in time."""
        port, mysql = free_port(), Proxy(self.testbed.mysql("inference").port)
        self._stack.callback(mysql.cut)
        environment = self.testbed.environment("inference", "inference", port=port, reconcile_seconds=600)
        environment["MYSQL_PORT"] = str(mysql.port)
        process = Process("inference", port, environment, self.testbed.folder)
        process.start()
        self._stack.callback(process.stop)
        return Replica(process, mysql)

    def request(self, replica: Replica, count: int = REQUESTS) -> None:
        """Requests that the replica must answer."""
        with ThreadPoolExecutor(8) as pool:
            bodies = [self.testbed.dataset.example] * count
            replies = list(pool.map(lambda body: post(f"{replica.process.url}/predict", body), bodies))
        assert {status for status, _ in replies} == {200}
        replica.answered += [body["request_id"] for _, body in replies]

    def rows(self, table: Callable[[], sa.Table] | None = None) -> Counter[str]:
        """The number of rows of each request in MySQL."""
        requests = table() if table else dataset_tables(self.testbed.dataset).requests
        return Counter(name for (name,) in self.testbed.sql(sa.select(requests.c.request_id)))

    def waiting(self) -> dict[str, set[str]]:
        """The ids of the requests in each folder of the journal."""
        return {
            folder.name: {
                orjson.loads(line[9:])["request_id"]
                for path in folder.glob("*.lines")
                for line in path.read_bytes().splitlines()
            }
            for folder in self.journal.iterdir()
        }

    def wait_until_stored(self, answered: list[str]) -> None:
        """Wait until MySQL has each of these requests once."""
        wait_until(lambda: set(answered) <= self.rows().keys(), what="all are in MySQL")
        assert {self.rows()[request_id] for request_id in answered} == {1}


@pytest.fixture(scope="module")
def setup(testbed: Testbed) -> Iterator[Setup]:
    """All replicas serve version 1."""
    with ExitStack() as stack:
        started = Setup(testbed, stack)
        for replica in started.replicas:
            url = replica.process.url
            wait_until(lambda url=url: http_status(f"{url}/livez") == 200, 60, "inference listens")  # type: ignore[misc]
        started.models.promote()
        for replica in started.replicas:
            replica.process.wait_until_ready()
        yield started


def test_each_replica_has_a_journal_of_its_own(setup: Setup) -> None:
    """Each request is in MySQL once."""
    for replica in setup.replicas:
        setup.request(replica)
    setup.wait_until_stored([request_id for replica in setup.replicas for request_id in replica.answered])
    assert {path.parent.name for path in setup.journal.rglob("*.lines")} == {"0", "1", "2"}


@pytest.mark.failure("F513")
def test_a_promotion_reaches_every_replica(setup: Setup) -> None:
    """By its event: the registry is not read in that time. /readyz of each names the version."""
    seconds = []
    for number in range(PROMOTIONS):
        version = setup.models.register(scale=2 + number)
        setup.models.decide(version)
        published = time.monotonic()
        left = {replica.process.url for replica in setup.replicas}
        while left:
            left = {url for url in left if served_model(url)["version"] != version.number}
            assert time.monotonic() - published < 30
        seconds.append(time.monotonic() - published)
        doing = {get(f"{replica.process.url}/readyz")[1]["doing"] for replica in setup.replicas}
        assert doing == {f"serving {setup.testbed.dataset.name} {version.number}"}
    print("seconds until every replica serves a version:", [round(each, 2) for each in seconds])  # noqa: T201 - measured
    assert statistics.median(seconds) < PROMOTION_SECONDS


@pytest.mark.failure("F510")
@pytest.mark.failure("F511")
def test_the_journal_of_a_replica_that_is_gone_is_drained(setup: Setup) -> None:
    """By the others, while they answer. It never comes back. Every answered request is in MySQL once."""
    *others, gone = setup.replicas
    gone.mysql.cut()
    setup.request(gone)
    (folder,) = (name for name, ids in setup.waiting().items() if ids & set(gone.answered))
    waiting = setup.waiting()[folder]
    assert len(waiting) == REQUESTS
    gone.process.kill()
    for other in others:
        setup.request(other)
    answered = [request_id for replica in setup.replicas for request_id in replica.answered]
    setup.wait_until_stored(answered)
    wait_until(lambda: not any(setup.waiting().values()), 20, "no line is left")
    assert sum(setup.rows().values()) == len(answered)


@pytest.mark.failure("F511")
def test_a_journal_is_not_drained_while_its_replica_lives(setup: Setup) -> None:
    """Although it is frozen, and has no MySQL. When it is killed, what MySQL has already is not stored twice."""
    frozen = setup.new_replica()
    frozen.process.wait_until_ready()
    setup.request(frozen)
    setup.wait_until_stored(frozen.answered)
    frozen.mysql.cut()
    setup.request(frozen)
    waiting = set(frozen.answered[REQUESTS:])
    with frozen.process.frozen():
        time.sleep(3)
        assert not waiting & setup.rows().keys()
        assert waiting in setup.waiting().values()
    frozen.process.kill()
    setup.wait_until_stored(frozen.answered)
