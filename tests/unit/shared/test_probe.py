"""The probe of a container's health."""

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from support.testbed import free_port


@pytest.mark.parametrize(("status", "code", "error"), [(200, 0, ""), (503, 1, "503: Service Unavailable: because\n")])
def test_the_exit_code_follows_the_status(status: int, code: int, error: str) -> None:
    """An error status is printed with the response, which Docker stores."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"because")

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request).start()
        done = probe(f"http://127.0.0.1:{server.server_port}/readyz")
    assert (done.returncode, done.stderr.removeprefix("HTTP Error ")) == (code, error)


def test_a_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker may pass one. The error is that of the service."""
    proxy, service = free_port(), free_port()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
    monkeypatch.delenv("no_proxy", raising=False)
    with HTTPServer(("127.0.0.1", service), BaseHTTPRequestHandler) as server:
        Thread(target=server.handle_request).start()
        assert "501" in probe(f"http://127.0.0.1:{service}/").stderr


def test_a_refused_connection_is_an_error() -> None:
    """Printed in one line, without a traceback."""
    done = probe(f"http://127.0.0.1:{free_port()}/")
    assert done.returncode == 1
    assert done.stderr == "<urlopen error [Errno 111] Connection refused>\n"


def probe(url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "veleta.probe", url], capture_output=True, text=True, check=False)
