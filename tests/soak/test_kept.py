"""MySQL away for OUTAGE_S (60) seconds under load, and inference killed meanwhile: what was answered is kept once."""

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
from support.world import Process, World, eventually
from veleta.tables import dataset_tables
from veleta_local.run import Run
from veleta_local.supervise import Supervisor

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_S") or 60)
CONNECTIONS, ROWS = 16, 200
AROUND_SECONDS = 5.0
"""So long there is load before it, and after it."""
UNAVAILABLE = 503
DISK_KILOBYTES = 24 * 1024
"""Room for one of the journal's files, which is deleted as a whole, and for half of the next."""


@dataclass(frozen=True)
class Outage:
    """What the clients were told, and when MySQL went, inference was killed, MySQL came, and inference was ready."""

    answers: Sequence[Answer]
    gone: float
    killed: float
    back: float
    ready: float

    def statuses(self, begin: float, end: float) -> Counter[int]:
        """Of the requests that began and ended between these times."""
        return Counter(answer.status for answer in self.answers if begin < answer.sent and answer.ended < end)

    def __str__(self) -> str:
        return (
            f"before MySQL went: {dict(self.statuses(0, self.gone))}\n"
            f"without it, before the kill: {dict(self.statuses(self.gone, self.killed))}\n"
            f"without it, after the kill: {dict(self.statuses(self.killed, self.back))}\n"
            f"ready {self.ready - self.back:.1f} s after MySQL was started; from then on: "
            f"{dict(self.statuses(self.ready, time.time()))}"
        )


@pytest.fixture
def crowned(fresh: World) -> World:
    """A deployment with a model."""
    Models(fresh).promote()
    return fresh


@pytest.mark.failure("F22", "F49")
def test_mysql_away_and_a_kill_lose_nothing(backing: Run, crowned: World, tmp_path: Path) -> None:
    """/readyz says what is away; requests are answered nevertheless, by the next process too."""
    with crowned.service("inference", "inference") as inference:
        outage = _outage(backing, crowned, inference, "mysql", tmp_path)
        _is_kept(crowned, outage.answers, inference)
    assert set(outage.statuses(0, outage.killed)) == {OK}
    assert outage.statuses(outage.killed, outage.back)[OK]
    assert set(outage.statuses(outage.ready, time.time())) == {OK}


@pytest.mark.failure("F21", "F53")
def test_a_full_disk_and_a_kill_lose_nothing(backing: Run, crowned: World, tmp_path: Path) -> None:
    """The journal fills its disk: 503 and no price, before and after the kill; when MySQL is back, prices again."""
    with (
        small_disk(tmp_path / "disk", DISK_KILOBYTES) as disk,
        crowned.service("inference", "inference", journal=disk) as inference,
    ):
        outage = _outage(backing, crowned, inference, "journal", tmp_path)
        _is_kept(crowned, outage.answers, inference)
    assert set(outage.statuses(0, outage.gone)) == {OK}
    assert outage.statuses(outage.gone, outage.killed)[UNAVAILABLE]
    assert set(outage.statuses(outage.killed, outage.back)) == {BROKEN, UNAVAILABLE}
    assert outage.statuses(outage.ready, time.time())[OK]


def _outage(backing: Run, world: World, inference: Process, lacking: str, folder: Path) -> Outage:
    """Post without pause while MySQL is away, and inference, which says that it lacks `lacking`, is killed half-way."""
    supervisor = Supervisor(backing)
    inference.ready()
    with load(inference.url, synthetic(world.dataset, ROWS), CONNECTIONS, folder / "load") as coming:
        time.sleep(AROUND_SECONDS)
        gone = time.time()
        supervisor.stop(["mysql"])
        try:
            _lacks(inference, lacking, OUTAGE_SECONDS / 2)
            killed = time.time()
            inference.kill()
            inference.start()
            _lacks(inference, lacking, OUTAGE_SECONDS / 2)
        finally:
            back = time.time()
            supervisor.start(["mysql"])
        inference.ready(120)
        ready = time.time()
        time.sleep(AROUND_SECONDS)
    outage = Outage(list(coming), gone, killed, back, ready)
    sys.stdout.write(f"\n{outage}\n")
    return outage


def _lacks(inference: Process, lacking: str, seconds: float) -> None:
    """Let some seconds pass, in which /readyz names what is lacking."""
    end = time.monotonic() + seconds
    eventually(lambda: lacking in _waits_for(inference.url), 60, f"/readyz names {lacking}")
    time.sleep(max(0, end - time.monotonic()))


def _waits_for(url: str) -> Collection[str]:
    try:
        return dict(get(f"{url}/readyz")[1]["waits_for"])
    except OSError:  # it does not listen yet
        return ()


def _is_kept(world: World, answers: Sequence[Answer], inference: Process) -> None:
    """Each acknowledged request is in MySQL once, as it was told; beside them at most those that the kill cut off."""
    eventually(lambda: metric(inference.url, JOURNAL) == 0, 120, "the journal is empty")
    table = dataset_tables(world.dataset).requests
    rows = world.sql(sa.select(table.c.request_id, table.c.model_version, table.c.prediction))
    kept = {row.request_id: (row.model_version, row.prediction) for row in rows}
    told = {answer.request_id: (answer.version, answer.price) for answer in answers if answer.status == OK}
    sys.stdout.write(f"{len(told):,} requests acknowledged, {len(rows):,} rows in MySQL\n")
    assert len(kept) == len(rows)
    assert [name for name, said in told.items() if kept.get(name) != said][:5] == []
    assert len(kept.keys() - told.keys()) <= CONNECTIONS
