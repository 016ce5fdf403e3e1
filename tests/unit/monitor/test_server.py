"""How Streamlit is started, and what happens when its server hangs."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from support.http import idle_connections
from support.testbed import free_port, http_status, wait_until
from veleta.service.watchdog import EXIT_CODE
from veleta.settings import read_settings
from veleta_monitor.server import options
from veleta_monitor.settings import MonitorSettings


def test_the_server_gets_all_required_options(environment: pytest.MonkeyPatch) -> None:
    """It has the configured address. It opens no browser, sends no usage data, shows no tracebacks."""
    environment.setenv("MONITOR_PORT", "8777")
    expected = {
        "server.address": "127.0.0.1",
        "server.port": 8777,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
    }
    assert expected.items() <= options(read_settings(MonitorSettings)).items()


@pytest.mark.failure("F378")
def test_the_checks_of_streamlit_are_on(environment: pytest.MonkeyPatch) -> None:
    """Whatever the user's own Streamlit settings say. Its API for programs is off."""
    expected = {
        "server.enableCORS": True,
        "server.corsAllowedOrigins": [],
        "server.enableXsrfProtection": True,
        "server.enableAgentApi": False,
    }.items()
    assert expected <= options(read_settings(MonitorSettings)).items()


@contextmanager
def monitor(home: Path, liveness_seconds: float, port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """A monitor that responds (support.hanging_monitor)."""
    port = port or free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HOME": str(home),
        "MYSQL_USER": "reader",
        "MYSQL_PASSWORD": "none",
        "MONITOR_PORT": str(port),
        "MONITOR_LIVENESS_SECONDS": str(liveness_seconds),
    }
    process = subprocess.Popen([sys.executable, "-m", "support.hanging_monitor"], env=environment)
    try:
        wait_until(lambda: http_status(f"http://127.0.0.1:{port}/_stcore/health") == 200, 60, "the page is served")
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.failure("F233")
def test_a_monitor_whose_server_hangs_exits(tmp_path: Path) -> None:
    """Its health check is requested regularly, by its own process."""
    with monitor(tmp_path, liveness_seconds=15) as process:
        process.send_signal(signal.SIGUSR1)
        assert process.wait(60) == EXIT_CODE


@pytest.mark.failure("F234")
def test_a_monitor_ends_after_sigterm_although_its_server_hangs(tmp_path: Path) -> None:
    """And one that does not hang ends with 0."""
    with monitor(tmp_path, liveness_seconds=60) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with monitor(tmp_path, liveness_seconds=60) as process:
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == EXIT_CODE


@pytest.mark.failure("F371")
def test_idle_connections_do_not_keep_others_out(tmp_path: Path) -> None:
    """More than half of the files that the process may open: the first ones are closed, and no open page is."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with monitor(tmp_path, 60, port) as process, connect(f"ws://127.0.0.1:{port}/_stcore/stream") as page:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (200, 200))
        with idle_connections(url, 150) as connections:
            assert http_status(f"{url}/_stcore/health") == 200
            assert connections[0].recv(1) == b""
        page.ping().wait(10)
