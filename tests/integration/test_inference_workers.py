"""Several processes of inference on one port: who asks sees one service, whichever of them answers, or ends."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import sqlalchemy as sa

from support.http import ANSWERED, get, metric, post
from support.models import Models, served_model
from support.world import Process, World, eventually, http_status
from veleta.tables import dataset_tables

WORKERS = 2
QUESTIONS = 24
"""So many connections reach both of two workers: one in 2^23 runs they do not."""


class House:
    """A service of two workers, and what it serves."""

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process
        self.models = Models(world)

    def workers(self) -> list[int]:
        """The process ids of those that are there."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def answers(self) -> list[dict[str, Any]]:
        """What QUESTIONS clients are told, each on a connection of its own."""
        replies = [post(f"{self.process.url}/predict", self.world.dataset.example) for _ in range(QUESTIONS)]
        assert {status for status, _ in replies} == {200}
        return [body for _, body in replies]

    def kept(self) -> Counter[str]:
        """How many rows each request has in MySQL."""
        requests = dataset_tables(self.world.dataset).requests
        return Counter(name for (name,) in self.world.sql(sa.select(requests.c.request_id)))

    def has(self, answers: list[dict[str, Any]]) -> bool:
        """Whether each of them is in MySQL, once."""
        kept = self.kept()
        return all(kept[answer["request_id"]] == 1 for answer in answers)


@pytest.fixture(scope="module")
def house(world: World) -> Iterator[House]:
    """All workers serve version 1."""
    with world.service("inference", "inference", workers=WORKERS, reconcile_seconds=1) as process:
        made = House(world, process)
        eventually(lambda: http_status(f"{process.url}/livez") == 200, 60, "inference listens")
        made.models.promote()
        process.ready()
        yield made


def test_all_of_them_answer_and_keep(house: House) -> None:
    """Each in a journal of its own; every request is in MySQL once, and /metrics tells of all whoever is asked."""
    before = metric(house.process.url, ANSWERED)
    answers = house.answers()
    eventually(lambda: house.has(answers), 20, "all are in MySQL")
    assert {metric(house.process.url, ANSWERED) for _ in range(QUESTIONS)} == {before + QUESTIONS}
    folders = {path.parent.name for path in (house.world.folder / "journal/answered").rglob("lock")}
    assert folders == {"0", "1"}


def test_a_promotion_reaches_all_of_them(house: House) -> None:
    """None goes on with the model before; /metrics tells of the lowest version that is served."""
    version = house.models.promote(scale=2).number
    eventually(
        lambda: {served_model(house.process.url)["version"] for _ in range(QUESTIONS)} == {version}, 20, "all serve it"
    )
    assert {answer["model"]["version"] for answer in house.answers()} == {version}
    assert metric(house.process.url, "veleta_model_version") == version


@pytest.mark.failure("F51")
def test_one_that_dies_is_started_again(house: House) -> None:
    """Meanwhile the others answer; what it had kept is in MySQL once."""
    answers = house.answers()
    dead, living = house.workers()
    os.kill(dead, signal.SIGKILL)
    eventually(lambda: dead not in house.workers(), 10, "it is gone")
    answers += house.answers()
    eventually(lambda: len(house.workers()) == WORKERS, 20, "another is started")
    eventually(lambda: _all_ready(house), 60, "all are ready")
    assert living in house.workers()
    answers += house.answers()
    eventually(lambda: house.has(answers), 20, "all are in MySQL")
    assert metric(house.process.url, "veleta_model_version") == served_model(house.process.url)["version"]


def _all_ready(house: House) -> bool:
    return {http_status(f"{house.process.url}/readyz") for _ in range(QUESTIONS)} == {200}


def test_a_port_that_somebody_has_is_said(house: House) -> None:
    """In one line; two services never share a port by mistake."""
    port = int(house.process.url.rsplit(":", 1)[1])
    environment = house.world.environment("inference", "inference", port=port, workers=WORKERS)
    done = subprocess.run(
        [sys.executable, "-m", "veleta_inference"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [f"inference: cannot listen on port {port}: Address already in use"],
    )


@pytest.mark.failure("F52")
def test_they_end_with_the_process_that_started_them(house: House) -> None:
    """However it ends: none goes on alone and holds the port; the next start has it, and a stop ends all."""
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        workers = house.workers()
        assert len(workers) == WORKERS
        os.kill(house.process.pid, end)
        assert house.process.wait() == code
        eventually(partial(_ended, workers), 30, "none is left")
        with pytest.raises(URLError):
            get(f"{house.process.url}/livez")
        house.process.start()
        eventually(lambda: http_status(f"{house.process.url}/livez") == 200, 60, "inference listens")
    eventually(lambda: _all_ready(house), 60, "all are ready")


def _ended(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)
