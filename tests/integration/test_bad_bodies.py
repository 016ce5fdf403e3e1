"""Bad bodies on a real service: each is told what is wrong with it, and costs nobody else anything."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from urllib.parse import urlsplit

import pytest

from support.bad_bodies import PATHS, ROW, Bad, corpus
from support.desk import Desk, Reply, ask

CASES = [(path, bad) for path, as_body in PATHS.items() for bad in corpus(as_body)]
WARM_UP, STORM = 600, 2_000
"""So many bad bodies are sent until memory has its size, and then so many more; as many halves go with them."""
GROWTH_MIB = 16


def send(desk: Desk, path: str, body: bytes, headers: dict[str, str] | None = None) -> Reply:
    return ask(f"{desk.process.url}{path.format(model=desk.world.dataset.name)}", body, headers)


@pytest.mark.failure("F63")
@pytest.mark.parametrize(("path", "bad"), CASES, ids=[f"{path} {bad.name}" for path, bad in CASES])
def test_a_bad_body_is_told(desk: Desk, path: str, bad: Bad) -> None:
    """As a problem of the client's, in a few words, without a line of our code."""
    reply = send(desk, path, bad.body, dict(bad.headers))
    assert (reply.status, reply.headers["Content-Type"]) == (bad.status, "application/problem+json")
    assert {"type", "title", "status", "detail", "errors"} <= set(reply.json)
    assert reply.json["detail"]
    assert bad.says in reply.text
    assert len(reply.text) < 5_000
    assert "Traceback" not in reply.text
    assert ".py" not in reply.text


@pytest.mark.parametrize("path", PATHS)
def test_a_good_body_is_answered(desk: Desk, path: str) -> None:
    """The check above can fail: what the bad ones were made from is right."""
    assert send(desk, path, json.dumps(PATHS[path](ROW)).encode()).status == 200


def test_text_may_have_any_character(desk: Desk) -> None:
    """Also a zero, if it is written as JSON writes it: it is kept as it came."""
    city = "A\0\u2028\N{GRINNING FACE}"
    reply = desk.predict(desk.example(city=city))
    assert reply.status == 200
    assert [row["city"] for row in desk.kept(request_id=reply.json["request_id"])] == [city]


@pytest.mark.failure("F63")
def test_the_service_serves_on_and_its_memory_is_flat(desk: Desk) -> None:
    """Through thousands of bad bodies, and of halves whose clients hang up."""
    before = desk.predict(desk.example()).price

    def hit(case: tuple[str, Bad]) -> int:
        path, bad = case
        _hang_up(desk, path)
        return send(desk, path, bad.body, dict(bad.headers)).status

    def storm(count: int) -> int:
        with ThreadPoolExecutor(4) as pool:
            statuses = set(pool.map(hit, islice(cycle(CASES), count)))
        assert statuses == {400, 413, 422}
        return desk.process.memory()

    warm = storm(WARM_UP)
    grown = storm(STORM) - warm
    assert grown < GROWTH_MIB * 1024 * 1024
    assert desk.predict(desk.example()).price == before


@pytest.mark.failure("F62")
def test_what_is_no_http_is_told_and_hung_up_on(desk: Desk) -> None:
    """Where no request can be made of what came, there is a line of plain text."""
    address = urlsplit(desk.process.url)
    for said in (
        b"price?\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
    ):
        with socket.create_connection((address.hostname, address.port), timeout=10) as client:
            client.sendall(said)
            with client.makefile("rb") as answers:
                answer = answers.read()
        assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert desk.predict(desk.example()).status == 200


@pytest.mark.failure("F62")
def test_nothing_of_it_is_an_error_of_ours(desk: Desk) -> None:
    """After all that came before, the log tells of none: nobody can fill it with what a client sends."""
    assert '"level": "error"' not in desk.process.log.read_text()


def _hang_up(desk: Desk, path: str) -> None:
    """Send half a body, and go."""
    address, body = urlsplit(desk.process.url), json.dumps(PATHS[path](ROW)).encode()
    where = path.format(model=desk.world.dataset.name)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(f"POST {where} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        client.sendall(body[: len(body) // 2])
