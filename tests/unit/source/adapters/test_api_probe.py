"""The first look at an external data API."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from veleta_source.adapters import api_probe
from veleta_source.adapters.api_probe import api_fault

HTTP = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s"


def answer(status: bytes, body: bytes = b"") -> bytes:
    return HTTP % (status, len(body), body)


@contextmanager
def server(reply: bytes | Callable[[socket.socket], None], seen: list[bytes] | None = None) -> Iterator[int]:
    """A port that answers each connection with these bytes, and appends what it received."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(65_536)
                if seen is not None:
                    seen.append(request)
                if reply:
                    connection.sendall(reply) if isinstance(reply, bytes) else reply(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found", b"307 Temporary Redirect", b"503 Busy", b"400 No"])
def test_any_http_answer_will_do(status: bytes) -> None:
    """What GET /data answers is seen by the poller. The question moves no cursor."""
    seen: list[bytes] = []
    with server(answer(status), seen) as port:
        assert api_fault(f"http://127.0.0.1:{port}") is None
        assert api_fault(f"http://127.0.0.1:{port}/api") is None
    assert [request.split()[:2] for request in seen] == [[b"GET", b"/"], [b"GET", b"/api"]]


@pytest.mark.failure("F205")
def test_a_refused_connection_is_named() -> None:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    expected = f"API_URL=http://127.0.0.1:{port}: connection refused: is the API running?"
    assert api_fault(f"http://127.0.0.1:{port}") == expected


def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the name is also unknown."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert api_fault("http://api.invalid:80") == (
        "API_URL=http://api.invalid:80: the host is unknown: is the name right?"
    )


def test_a_silent_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection and never answers."""
    monkeypatch.setattr(api_probe, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fault = api_fault(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert fault is not None
    assert "no answer within" in fault


@pytest.mark.parametrize(
    ("scheme", "reply", "message"),
    [
        ("http", b"\x15\x03\x03\x00\x02\x02\x46", "are port and scheme (http, https) right?"),
        ("http", b"", "are port and scheme (http, https) right?"),
        ("http", answer(b"400 Bad Request", b"Client sent an HTTP request to an HTTPS server."), "use https://"),
        ("https", answer(b"400 Bad Request"), "it does not speak TLS: use http://?"),
    ],
)
def test_http_and_https_in_each_others_place_are_named(scheme: str, reply: bytes, message: str) -> None:
    """Servers answer a wrong scheme in several ways."""
    with server(reply) as port:
        assert str(api_fault(f"{scheme}://127.0.0.1:{port}")).endswith(message)


def test_a_certificate_that_is_not_valid_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(api_probe, "_ask", refuse)
    assert str(api_fault("https://a:1")).endswith("its certificate is not valid (self-signed certificate)")


def test_a_port_that_is_none_is_named() -> None:
    """The pattern of addresses allows it."""
    assert str(api_fault("http://127.0.0.1:99999")).endswith("use an address as http://host:port")
