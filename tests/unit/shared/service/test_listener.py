"""The listener of every service: its connections, its time limits, and bodies that it does not read."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import pytest
from aiohttp import ClientError, ClientSession, web

from support.inference import call
from support.testbed import free_port
from veleta.service import connection_bounds, listener
from veleta.service.listener import listen

LIMIT = 3
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[], Awaitable[int]]


class Connect(Protocol):
    """Opens a connection to the port, and sends something."""

    async def __call__(self, port: int, sent: bytes = ...) -> Connection: ...


@pytest.fixture
async def gate() -> asyncio.Event:
    """Requests of /slow are answered when it is set."""
    return asyncio.Event()


@pytest.fixture
async def serve(gate: asyncio.Event) -> AsyncIterator[Serve]:
    """Starts a listener and returns its port."""
    runners = []

    async def slow(_request: web.Request) -> web.Response:
        await gate.wait()
        return web.Response()

    async def fast(_request: web.Request) -> web.Response:
        return web.Response()

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(20_000_000))

    async def start() -> int:
        app, port = web.Application(), free_port()
        app.add_routes([web.get("/slow", slow), web.get("/fast", fast), web.get("/large", large)])
        runners.append(await listen(app, "127.0.0.1", port, None, 0.1))
        return port

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def connect(serve: Serve) -> AsyncIterator[Connect]:
    """Opens a connection to the port, and sends a part of a request."""
    writers = []

    async def connecting(port: int, sent: bytes = b"GET /fa") -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader, writer

    yield connecting
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def is_closed(connection: Connection) -> bool:
    """Whether the service closes the connection."""
    try:
        async with asyncio.timeout(0.2):
            return await connection[0].read() == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def status(port: int, path: str = "fast") -> int:
    """The status of a complete request on a connection of its own."""
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as response:
        return response.status


async def send_without_end(writer: asyncio.StreamWriter) -> None:
    """Send until the connection is closed."""
    while True:
        writer.write(bytes(1_000))
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.failure("F371")
async def test_a_head_must_arrive_in_time(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends nothing, half of a head, or no further request, is closed after HEAD_SECONDS."""
    monkeypatch.setattr(connection_bounds, "HEAD_SECONDS", 0.2)
    port = await serve()
    connections = [await connect(port, sent) for sent in (b"", b"GET /fa", b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")]
    assert (await connections[2][0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    async with asyncio.timeout(5):
        assert [await reader.read() for reader, _ in connections] == [b""] * 3


@pytest.mark.failure("F371")
async def test_idle_connections_do_not_keep_others_out(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond MAX_CONNECTIONS the connection that is idle for longest is closed for a new one."""
    monkeypatch.setattr(connection_bounds, "MAX_CONNECTIONS", LIMIT)
    port = await serve()
    held = [await connect(port) for _ in range(3 * LIMIT)]
    assert await status(port) == 200
    assert [await is_closed(connection) for connection in held] == [True] * (2 * LIMIT + 1) + [False] * (LIMIT - 1)


@pytest.mark.failure("F371")
async def test_a_request_in_flight_keeps_its_connection(
    serve: Serve, connect: Connect, gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If all connections have one, a new connection is closed."""
    monkeypatch.setattr(connection_bounds, "MAX_CONNECTIONS", LIMIT)
    port = await serve()
    waiting = [await connect(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(LIMIT)]
    await asyncio.sleep(0.1)
    assert await is_closed(await connect(port))
    gate.set()
    for reader, _ in waiting:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.failure("F371")
async def test_clients_that_read_nothing_do_not_keep_others_out(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their requests are in flight until the whole response is sent. The connections are closed after a while."""
    monkeypatch.setattr(connection_bounds, "MAX_CONNECTIONS", LIMIT)
    monkeypatch.setattr(connection_bounds, "UNREAD_SECONDS", 0.5)
    port = await serve()
    for _ in range(LIMIT):
        await connect(port, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.1)
    with pytest.raises(ClientError):
        await status(port)
    await asyncio.sleep(2)
    assert await status(port) == 200


async def test_half_of_the_files_are_for_connections(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this is less than MAX_CONNECTIONS. So the process can always open a file."""
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (2 * LIMIT, 2 * LIMIT))
    port = await serve()
    held = [await connect(port) for _ in range(LIMIT + 1)]
    assert [await is_closed(connection) for connection in held] == [True] + [False] * LIMIT


@pytest.mark.failure("F370")
async def test_a_client_can_read_the_refusal_of_a_large_body(serve: Serve) -> None:
    """Although the body is not read by the route: the rest is received for a while, and dropped."""
    url = f"http://127.0.0.1:{await serve()}/fast"
    for _ in range(5):
        assert (await asyncio.to_thread(call, url, bytes(20_000_000))).status == 405


@pytest.mark.failure("F370")
async def test_a_body_without_end_is_not_received_for_long(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed after LINGER_SECONDS."""
    monkeypatch.setattr(listener, "LINGER_SECONDS", 0.2)
    port = await serve()
    head = b"POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
    reader, writer = await connect(port, head)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 405")
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_without_end(writer), 5)
