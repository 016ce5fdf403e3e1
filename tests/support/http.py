"""HTTP for tests: requests, and a data API that a thread serves."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from aiohttp import web

from support.testbed import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANSWERED = 'veleta_http_request_duration_seconds_count{path="/predict",status="200"}'
"""Inference: requests that were answered with a price. A name for `metric`, as the next."""
JOURNAL = 'veleta_journal_bytes{journal="answered"}'
"""Inference: bytes that are not yet in MySQL."""


def get(url: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a GET."""
    return _send(Request(url))


def metric(url: str, name: str) -> float:
    """The value of a metric, labels included, from /metrics of a service; 0 if it has none."""
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        samples = (line.rsplit(" ", 1) for line in answer.read().decode().splitlines())
    return next((float(value) for key, value in samples if key == name), 0.0)


def post(url: str, body: object, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a POST."""
    return _send(Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}))


@contextmanager
def data_api(data: Handler, restart: Handler, port: int | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve a data API in a thread while the block runs. Returns its URL.

    A container can reach it only if it listens on 0.0.0.0.
    """
    app = web.Application()
    app.add_routes([web.get("/data", data), web.get("/restart_data_generation", restart)])
    with served(app, port, host) as url:
        yield url


@contextmanager
def served(app: web.Application, port: int | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve an application in a thread while the block runs. Returns its URL."""
    loop, port = asyncio.new_event_loop(), port or free_port()
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(runner.setup(), loop).result(10)
        asyncio.run_coroutine_threadsafe(web.TCPSite(runner, host, port).start(), loop).result(10)
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def idle_connections(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Connections that send nothing, while the block runs."""
    address = urlsplit(url)
    with ExitStack() as stack:
        connect = partial(socket.create_connection, (address.hostname, address.port), timeout=10)
        yield [stack.enter_context(connect()) for _ in range(count)]


def _send(request: Request) -> tuple[int, dict[str, Any]]:
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())
