"""Bad bodies sent to a real service: each response names the problem, and other requests are not affected."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from urllib.parse import urlsplit

import pytest

from support.bad_bodies import PATHS, ROW, Bad, corpus
from support.inference import Inference, Reply, call

CASES = [(path, bad) for path, as_body in PATHS.items() for bad in corpus(as_body)]
WARM_UP, STORM = 1_500, 2_000
"""The number of bad bodies before the memory is measured, and after. As many incomplete bodies are sent with them."""
GROWTH_MIB = 16


def send(inference: Inference, path: str, body: bytes, headers: dict[str, str] | None = None) -> Reply:
    return call(f"{inference.process.url}{path.format(model=inference.testbed.dataset.name)}", body, headers)


@pytest.mark.failure("F63")
@pytest.mark.parametrize(("path", "bad"), CASES, ids=[f"{path} {bad.name}" for path, bad in CASES])
def test_a_bad_body_gets_a_problem(inference: Inference, path: str, bad: Bad) -> None:
    """It names the client's error in a few words, without internals."""
    reply = send(inference, path, bad.body, dict(bad.headers))
    assert (reply.status, reply.headers["Content-Type"]) == (bad.status, "application/problem+json")
    assert {"type", "title", "status", "detail", "errors"} <= set(reply.json)
    assert reply.json["detail"]
    assert bad.text in reply.text
    assert len(reply.text) < 5_000
    assert "Traceback" not in reply.text
    assert ".py" not in reply.text


@pytest.mark.parametrize("path", PATHS)
def test_a_good_body_gets_a_price(inference: Inference, path: str) -> None:
    """The test above can fail: the bad bodies are derived from these."""
    assert send(inference, path, json.dumps(PATHS[path](ROW)).encode()).status == 200


def test_text_may_have_any_character(inference: Inference) -> None:
    """Even an escaped NUL. The text is stored as it was sent."""
    city = "A\0\u2028\N{GRINNING FACE}"
    reply = inference.predict(inference.example(city=city))
    assert reply.status == 200
    assert [row["city"] for row in inference.stored(request_id=reply.json["request_id"])] == [city]


@pytest.mark.failure("F137")
def test_the_memory_does_not_grow(inference: Inference) -> None:
    """During thousands of bad bodies, and of incomplete bodies whose clients disconnect."""
    before = inference.predict(inference.example()).price

    def send_case(case: tuple[str, Bad]) -> int:
        path, bad = case
        _disconnect(inference, path)
        return send(inference, path, bad.body, dict(bad.headers)).status

    def storm(count: int) -> int:
        with ThreadPoolExecutor(4) as pool:
            statuses = set(pool.map(send_case, islice(cycle(CASES), count)))
        assert statuses == {400, 413, 422}
        return inference.process.memory()

    warm = storm(WARM_UP)
    grown = min(storm(STORM), storm(STORM)) - warm  # memory that is used for a moment only has not grown
    assert grown < GROWTH_MIB * 1024 * 1024
    assert inference.predict(inference.example()).price == before


@pytest.mark.failure("F135")
def test_bytes_that_are_not_http_get_400(inference: Inference) -> None:
    """In plain text, and the connection is closed."""
    address = urlsplit(inference.process.url)
    for data in (
        b"price?\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
    ):
        with socket.create_connection((address.hostname, address.port), timeout=10) as client:
            client.sendall(data)
            with client.makefile("rb") as file:
                response = file.read()
        assert response.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert inference.predict(inference.example()).status == 200


@pytest.mark.failure("F62")
def test_bad_bodies_are_not_logged_as_errors(inference: Inference) -> None:
    """The log has no error after the tests above. So a client cannot fill it."""
    assert '"level": "error"' not in inference.process.log.read_text()


def _disconnect(inference: Inference, path: str) -> None:
    """Send half a body, and disconnect."""
    address, body = urlsplit(inference.process.url), json.dumps(PATHS[path](ROW)).encode()
    where = path.format(model=inference.testbed.dataset.name)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(f"POST {where} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        client.sendall(body[: len(body) // 2])
