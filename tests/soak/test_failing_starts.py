"""`make start` of a whole run that cannot succeed: the reason, the exit code, and no process left."""

import os
import re
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from support.failing_start import Checkout
from support.http import data_api
from support.listings import write_csv
from support.testbed import wait_until
from veleta_local import status
from veleta_local.addresses import HOST
from veleta_local.run import Run

TEMPORARY = 503


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path)
    yield made
    made.run.stop()


def answer(status_code: int, text: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status_code, text=text)

    return handle


@contextmanager
def port_taken_after_the_check(run: Run, part: str) -> Iterator[None]:
    """Listen on the port of a part as soon as MariaDB listens: the ports were checked before that."""
    stop = threading.Event()

    def take() -> None:
        while not stop.wait(0.01):
            with closing(socket.socket()) as probe:
                if probe.connect_ex((HOST, run.mysql_port)) == 0:
                    break
        with socket.create_server((HOST, run.ports[part])):
            stop.wait()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.failure("F161")
def test_a_failed_training_ends_the_start(checkout: Checkout) -> None:
    """Its first batch has too few rows for a model. The command exits with 1, and make with 2."""
    write_csv(checkout.folder / "few.csv", rows_per_kind=10, seed=1)
    failed = checkout.start(csv=checkout.folder / "few.csv", trees=5)
    assert failed.code == 1
    assert re.match(
        r"the start failed: training 1/\d failed: the recipe cannot be trained: .* are too few", failed.reason
    )
    assert checkout.is_down()
    assert Run(checkout.run.home).variables.trees == 5


@pytest.mark.failure("F162")
def test_an_api_that_only_refuses_ends_the_start_and_locks_nothing(checkout: Checkout) -> None:
    """The next start takes another input without `make clean`, because no row was taken."""
    with data_api(answer(404, "no such page"), answer(404, "")) as url:
        failed = checkout.start(api_url=url)
    assert (failed.code, checkout.is_down()) == (1, True)
    assert failed.reason.startswith("the start failed: GET /data answered 404 Not Found")
    write_csv(checkout.folder / "good.csv", rows_per_kind=40, seed=1)
    assert checkout.start(csv=checkout.folder / "good.csv", trees=5).code == 0
    assert {row["part"] for row in status.rows(checkout.run) if row["ready"]} == set(checkout.run.parts)


@pytest.mark.failure("F162")
def test_an_api_that_is_down_for_a_moment_is_waited_for(checkout: Checkout) -> None:
    """A temporary answer ends a start only after twenty seconds; here the third one is a failure that stays."""
    answers = iter([TEMPORARY, TEMPORARY])

    async def data(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=next(answers, 410))

    with data_api(data, answer(200, "")) as url:
        failed = checkout.start(api_url=url, poll_every=1)
    assert (failed.code, checkout.is_down()) == (1, True)
    assert failed.reason.startswith("the start failed: GET /data answered 410 Gone")


@pytest.mark.failure("F160")
@pytest.mark.parametrize(("part", "words"), [("loader", "cannot listen on port"), ("mlflow", "address already in use")])
def test_a_part_that_cannot_bind_its_port_ends_the_start(checkout: Checkout, part: str, words: str) -> None:
    """Its own words; the process on the port goes on."""
    run = Run(checkout.run.home, checkout.variables, report=lambda _: None)
    with port_taken_after_the_check(run, part):
        failed = checkout.start()
    assert (failed.code, checkout.is_down()) == (1, True)
    assert failed.reason.startswith(f"the start failed: {part} ended 2 times: ")
    assert words in failed.reason


@pytest.mark.failure("F163", "F164")
def test_a_failed_start_of_a_run_that_is_up_leaves_it_up(checkout: Checkout) -> None:
    """`make status` answers while MariaDB is frozen. The message names what runs, and `make stop` ends it."""
    Run(checkout.run.home, checkout.variables, report=lambda _: None).start_backing(120)
    os.kill(checkout.run.pid("mysql"), signal.SIGSTOP)
    try:
        rows = {row["part"]: row for row in status.rows(checkout.run)}
        assert (rows["mysql"]["ready"], rows["mysql"]["state"]) == (False, "running")
        assert "does not answer" in rows["mysql"]["doing"]
        assert rows["kafka"]["ready"]
        failed = checkout.start(start_timeout=5)
    finally:
        os.kill(checkout.run.pid("mysql"), signal.SIGCONT)
    assert failed.code == 1
    assert failed.reason.startswith("the start failed: not ready in time (START_TIMEOUT=): mysql: listens but")
    assert failed.reason.endswith("the run was up before and goes on: make stop ends it")
    wait_until(lambda: checkout.run.health(["mysql"])["mysql"].ready, what="MariaDB answers again")
