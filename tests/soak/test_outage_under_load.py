"""MySQL stopped for OUTAGE_S (60) seconds under load, and inference killed meanwhile: each response is stored once."""

import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.disk import small_disk
from support.http import JOURNAL, get, metric
from support.load import BROKEN, OK, Answer, load
from support.models import Models, synthetic
from support.testbed import Process, Testbed, wait_until
from veleta.tables import dataset_tables
from veleta_local.run import Run
from veleta_local.supervise import Supervisor

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_S") or 60)
CONNECTIONS, ROWS = 16, 200
AROUND_SECONDS = 5.0
"""Seconds of load before and after the outage."""
UNAVAILABLE = 503
DISK_KILOBYTES = 24 * 1024
"""Room for one journal file, which is deleted as a whole, and half of the next."""


@dataclass(frozen=True)
class Outage:
    """The responses, and the Unix times of: MySQL stopped, inference killed, MySQL started, inference ready."""

    answers: Sequence[Answer]
    stopped: float
    killed: float
    started: float
    ready: float

    def statuses(self, begin: float, end: float) -> Counter[int]:
        """The statuses of the requests that started and ended between these times."""
        return Counter(answer.status for answer in self.answers if begin < answer.sent and answer.ended < end)

    def __str__(self) -> str:
        return (
            f"before MySQL stopped: {dict(self.statuses(0, self.stopped))}\n"
            f"without MySQL, before the kill: {dict(self.statuses(self.stopped, self.killed))}\n"
            f"without MySQL, after the kill: {dict(self.statuses(self.killed, self.started))}\n"
            f"ready {self.ready - self.started:.1f} s after MySQL was started; from then on: "
            f"{dict(self.statuses(self.ready, time.time()))}"
        )


@pytest.fixture
def with_model(fresh_testbed: Testbed) -> Testbed:
    """A deployment with a model."""
    Models(fresh_testbed).promote()
    return fresh_testbed


@pytest.mark.failure("F22", "F49", "F50")
def test_an_outage_of_mysql_and_a_kill_lose_nothing(backing: Run, with_model: Testbed, tmp_path: Path) -> None:
    """/readyz names the unavailable dependency. Requests are answered, by the next process too."""
    with with_model.service("inference", "inference") as inference:
        outage = _outage(backing, with_model, inference, "mysql", tmp_path)
        _assert_stored_once(with_model, outage.answers, inference)
    assert set(outage.statuses(0, outage.killed)) == {OK}
    assert outage.statuses(outage.killed, outage.started)[OK]
    assert set(outage.statuses(outage.ready, time.time())) == {OK}


@pytest.mark.failure("F53")
def test_a_full_disk_and_a_kill_lose_nothing(backing: Run, with_model: Testbed, tmp_path: Path) -> None:
    """The journal fills its disk: 503 and no price, before and after the kill. After MySQL starts, prices again."""
    with (
        small_disk(tmp_path / "disk", DISK_KILOBYTES) as disk,
        with_model.service("inference", "inference", journal=disk) as inference,
    ):
        outage = _outage(backing, with_model, inference, "journal", tmp_path)
        _assert_stored_once(with_model, outage.answers, inference)
    assert set(outage.statuses(0, outage.stopped)) == {OK}
    assert outage.statuses(outage.stopped, outage.killed)[UNAVAILABLE]
    assert set(outage.statuses(outage.killed, outage.started)) == {BROKEN, UNAVAILABLE}
    assert outage.statuses(outage.ready, time.time())[OK]


def _outage(backing: Run, testbed: Testbed, inference: Process, dependency: str, folder: Path) -> Outage:
    """Post all the time while MySQL is stopped, and kill inference half-way; /readyz must name `dependency`."""
    supervisor = Supervisor(backing)
    inference.wait_until_ready()
    with load(inference.url, synthetic(testbed.dataset, ROWS), CONNECTIONS, folder / "load") as load_answers:
        time.sleep(AROUND_SECONDS)
        stopped = time.time()
        supervisor.stop(["mysql"])
        try:
            _wait_while_unavailable(inference, dependency, OUTAGE_SECONDS / 2)
            killed = time.time()
            inference.kill()
            inference.start()
            _wait_while_unavailable(inference, dependency, OUTAGE_SECONDS / 2)
        finally:
            started = time.time()
            supervisor.start(["mysql"])
        inference.wait_until_ready(120)
        ready = time.time()
        time.sleep(AROUND_SECONDS)
    outage = Outage(list(load_answers), stopped, killed, started, ready)
    sys.stdout.write(f"\n{outage}\n")
    return outage


def _wait_while_unavailable(inference: Process, dependency: str, seconds: float) -> None:
    """Wait some seconds while /readyz names the dependency."""
    end = time.monotonic() + seconds
    wait_until(lambda: dependency in _unavailable(inference.url), 60, f"/readyz names {dependency}")
    time.sleep(max(0, end - time.monotonic()))


def _unavailable(url: str) -> Collection[str]:
    try:
        return dict(get(f"{url}/readyz")[1]["waits_for"])
    except OSError:  # it does not listen yet
        return ()


def _assert_stored_once(testbed: Testbed, answers: Sequence[Answer], inference: Process) -> None:
    """Each acknowledged request is in MySQL once and unchanged. Only interrupted requests may be there as well."""
    wait_until(lambda: metric(inference.url, JOURNAL) == 0, 120, "the journal is empty")
    table = dataset_tables(testbed.dataset).requests
    rows = testbed.sql(sa.select(table.c.request_id, table.c.model_version, table.c.prediction))
    stored = {row.request_id: (row.model_version, row.prediction) for row in rows}
    acknowledged = {answer.request_id: (answer.version, answer.price) for answer in answers if answer.status == OK}
    sys.stdout.write(f"{len(acknowledged):,} requests acknowledged, {len(rows):,} rows in MySQL\n")
    assert len(stored) == len(rows)
    assert [name for name, expected in acknowledged.items() if stored.get(name) != expected][:5] == []
    assert len(stored.keys() - acknowledged.keys()) <= CONNECTIONS
