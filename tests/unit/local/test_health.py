"""The health of a part: as text, and of programs that answer badly."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from support.testbed import free_base
from veleta_local import health
from veleta_local.addresses import HOST
from veleta_local.deployment import Deployment
from veleta_local.health import Health, check
from veleta_local.variables import Variables

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def test_a_part_that_waits_names_the_dependency() -> None:
    """`make status` and a start that took too long show the text of /readyz."""
    health = Health(ready=False, doing="reads batch 3", waits_for={"mysql": "connection refused"})
    assert str(health) == "reads batch 3; waits for mysql: connection refused"


def test_a_part_shows_its_warnings() -> None:
    """A part with a warning is ready, so its text is where a person sees it."""
    health = Health(ready=True, doing="serving 6 batches", warnings={"rows": "9 of 12 rows are left out"})
    assert str(health) == "serving 6 batches; warning: 9 of 12 rows are left out"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, Variables(port_base=free_base()))


@contextmanager
def server(port: int, answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[None]:
    """A server that answers each connection with this function, in a thread, until the event is set."""
    stop = threading.Event()

    def serve() -> None:
        with closing(listening):
            while not stop.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                with connection:
                    answer(connection, stop)

    listening = socket.create_server((HOST, port))
    listening.settimeout(0.05)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def silent(connection: socket.socket, stop: threading.Event) -> None:
    """Accept and never answer, as a frozen process does."""
    connection.settimeout(0.05)
    while not stop.is_set():
        try:
            if not connection.recv(65536):
                return
        except TimeoutError:
            continue
        except OSError:
            return


def dripping(connection: socket.socket, stop: threading.Event) -> None:
    """A body that never ends, one byte at a time."""
    try:
        connection.sendall(OK)
        while not stop.wait(0.01):
            connection.sendall(b" ")
    except OSError:
        return


@pytest.mark.failure("F164")
@pytest.mark.parametrize("part", ["kafka", "mysql", "mlflow", "loader", "monitor"])
@pytest.mark.parametrize("answer", [silent, dripping])
def test_a_part_that_does_not_answer_is_not_waited_for(
    part: str,
    answer: Callable[[socket.socket, threading.Event], None],
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever its protocol. The check ends although the server would go on for ever."""
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.3)
    with server(deployment.ports[part], answer):
        report = check(deployment, [part])[part]
    assert (report.ready, report.listens) == (False, True)
    assert "listens but" in report.doing


def test_another_program_on_the_port_of_a_service_is_not_the_service(deployment: Deployment) -> None:
    """A 200 without the body of /readyz does not count."""
    with server(deployment.ports["loader"], lambda connection, _: connection.sendall(OK + b"welcome")):
        assert check(deployment, ["loader"])["loader"] == Health(False, "another program answers on its port")


def test_a_part_that_does_not_listen_is_reported_at_once(deployment: Deployment) -> None:
    """Each part has its own report."""
    reports = check(deployment, ["kafka", "loader"])
    assert [report.doing for report in reports.values()] == ["does not listen yet"] * 2
    assert not any(report.listens or report.ready for report in reports.values())


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_health_is_requested_without_a_proxy(
    variable: str, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts are on this machine, and a proxy cannot reach them."""
    monkeypatch.setenv(variable, f"http://{HOST}:{free_base()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with server(deployment.ports["loader"], lambda connection, _: connection.sendall(OK + b'{"ready": true}')):
        assert check(deployment, ["loader"])["loader"].ready
