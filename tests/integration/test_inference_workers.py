"""Several workers of inference on one port: clients see one service, even if a worker dies."""

import math
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

import psutil
import pytest
import sqlalchemy as sa

from support.http import ANSWERED, get, metric, post
from support.models import Models, served_model
from support.testbed import Process, Testbed, http_status, wait_until
from veleta.holdout_errors import MIN_ROWS
from veleta.tables import dataset_tables

WORKERS = 2
REQUESTS = 24
"""Connections that reach both of two workers, except in one of 2^23 runs."""


class Setup:
    """Inference with two workers, and its models."""

    def __init__(self, testbed: Testbed, process: Process) -> None:
        self.testbed = testbed
        self.process = process
        self.models = Models(testbed)

    def workers(self) -> list[int]:
        """The process ids of the running workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def listening(self) -> list[int]:
        """Those that listen on the port. Until a new one does, the others get all requests."""
        port = int(self.process.url.rsplit(":", 1)[1])
        opened = {pid: psutil.Process(pid).net_connections("tcp") for pid in self.workers()}
        return [
            pid
            for pid, connections in opened.items()
            if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)
        ]

    def responses(self) -> list[dict[str, Any]]:
        """The responses to REQUESTS requests, each on a connection of its own."""
        replies = [post(f"{self.process.url}/predict", self.testbed.dataset.example) for _ in range(REQUESTS)]
        assert {status for status, _ in replies} == {200}
        return [body for _, body in replies]

    def stored(self) -> Counter[str]:
        """The number of rows of each request in MySQL."""
        requests = dataset_tables(self.testbed.dataset).requests
        return Counter(name for (name,) in self.testbed.sql(sa.select(requests.c.request_id)))

    def stored_once(self, responses: list[dict[str, Any]]) -> bool:
        """Whether the request of each response is in MySQL once."""
        rows = self.stored()
        return all(rows[response["request_id"]] == 1 for response in responses)


@pytest.fixture(scope="module")
def setup(testbed: Testbed) -> Iterator[Setup]:
    """All workers serve version 1."""
    with testbed.service("inference", "inference", workers=WORKERS, reconcile_seconds=1) as process:
        started = Setup(testbed, process)
        wait_until(lambda: http_status(f"{process.url}/livez") == 200, 60, "inference listens")
        started.models.promote()
        process.wait_until_ready()
        yield started


def test_all_workers_predict_and_store_requests(setup: Setup) -> None:
    """Each worker has a journal of its own. Each request is in MySQL once. /metrics of each worker covers all."""
    before = metric(setup.process.url, ANSWERED)
    responses = setup.responses()
    wait_until(lambda: setup.stored_once(responses), what="all are in MySQL")
    assert {metric(setup.process.url, ANSWERED) for _ in range(REQUESTS)} == {before + REQUESTS}
    folders = {path.parent.name for path in (setup.testbed.folder / "journal/answered").rglob("lock")}
    assert folders == {"0", "1"}


def test_a_promotion_reaches_all_workers(setup: Setup) -> None:
    """No worker still serves the model before. /metrics shows the lowest version that is served."""
    version = setup.models.promote(scale=2).number
    wait_until(
        lambda: {served_model(setup.process.url)["version"] for _ in range(REQUESTS)} == {version}, 20, "all serve it"
    )
    assert {response["model"]["version"] for response in setup.responses()} == {version}
    assert metric(setup.process.url, "veleta_model_version") == version


def test_the_metrics_of_the_estimate_are_of_one_worker(setup: Setup) -> None:
    """A value of the worker that counted rows last, and not a number where no worker has a value."""
    rows = [{**setup.testbed.dataset.example, "bed": 31}] * MIN_ROWS
    for _ in range(REQUESTS):
        assert post(f"{setup.process.url}/predict", rows)[0] == 200
    url = setup.process.url
    wait_until(lambda: 0.5 < metric(url, "veleta_rows_outside_learnt") <= 1, 30, "the share of rows with a warning")
    assert math.isnan(metric(url, "veleta_expected_error"))


@pytest.mark.failure("F51")
def test_a_worker_that_dies_is_restarted(setup: Setup) -> None:
    """The others respond meanwhile. The requests in its journal are in MySQL once."""
    responses = setup.responses()
    dead, living = setup.workers()
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: dead not in setup.workers(), what="it does not run")
    responses += setup.responses()
    wait_until(lambda: len(setup.listening()) == WORKERS, what="it is restarted, and gets requests")
    wait_until(lambda: _all_ready(setup), 60, "all are ready")
    assert living in setup.workers()
    responses += setup.responses()
    wait_until(lambda: setup.stored_once(responses), what="all are in MySQL")
    assert metric(setup.process.url, "veleta_model_version") == served_model(setup.process.url)["version"]


def _all_ready(setup: Setup) -> bool:
    return {http_status(f"{setup.process.url}/readyz") for _ in range(REQUESTS)} == {200}


def test_a_port_in_use_is_reported(setup: Setup) -> None:
    """In one line. Two services never share a port by mistake."""
    port = int(setup.process.url.rsplit(":", 1)[1])
    environment = setup.testbed.environment("inference", "inference", port=port, workers=WORKERS)
    done = subprocess.run(
        [sys.executable, "-m", "veleta_inference"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [f"inference: cannot listen on port {port}: Address already in use"],
    )


@pytest.mark.failure("F52")
def test_workers_stop_with_their_supervisor(setup: Setup) -> None:
    """Even if it is killed: no worker remains that uses the port. The next start can listen on it."""
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        workers = setup.workers()
        assert len(workers) == WORKERS
        os.kill(setup.process.pid, end)
        assert setup.process.wait() == code
        wait_until(partial(_stopped, workers), what="no worker runs")
        with pytest.raises(URLError):
            get(f"{setup.process.url}/livez")
        setup.process.start()
        wait_until(lambda: http_status(f"{setup.process.url}/livez") == 200, 60, "inference listens")
    wait_until(lambda: _all_ready(setup), 60, "all are ready")


def _stopped(pids: list[int]) -> bool:
    """Ended processes remain as zombies in a container whose first process does not reap them."""
    running = [process for process in psutil.process_iter(["status"]) if process.pid in pids]
    return all(process.info["status"] == psutil.STATUS_ZOMBIE for process in running)
