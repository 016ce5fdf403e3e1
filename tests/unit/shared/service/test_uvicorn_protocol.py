"""uvicorn's handling of a connection, with bounds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from aiohttp import ClientSession

from support.testbed import free_port, wait_until
from veleta.service import connection_bounds
from veleta.service.asgi import Receive, Scope, Send
from veleta.service.uvicorn_protocol import BoundedProtocol

LIMIT = 3
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
Connect = Callable[[bytes], Awaitable[asyncio.StreamReader]]


@pytest.fixture
def gate() -> asyncio.Event:
    """Requests of /slow are answered when it is set."""
    return asyncio.Event()


@pytest.fixture
async def port(gate: asyncio.Event) -> AsyncIterator[int]:
    """The port of a server whose application has a WebSocket that echoes, and answers requests."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
            return
        if scope["path"] == "/slow":
            await gate.wait()
        body: Any = bytes(20_000_000) if scope["path"] == "/large" else b"done"
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    port = free_port()
    config = uvicorn.Config(
        app, port=port, http=BoundedProtocol, ws="websockets-sansio", lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    await asyncio.to_thread(wait_until, lambda: server.started, 10, "the server listens")
    yield port
    server.should_exit = server.force_exit = True
    await running


@pytest.fixture
async def connect(port: int) -> AsyncIterator[Connect]:
    """Opens a connection, and sends something."""
    async with contextlib.AsyncExitStack() as stack:

        async def connecting(sent: bytes) -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(sent)
            return reader

        yield connecting


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server closes the connection."""
    try:
        async with asyncio.timeout(0.2):
            return await reader.read() == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.failure("F371")
async def test_a_head_must_arrive_in_time(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that sends nothing, or half of a head, is closed after HEAD_SECONDS. Also after a request."""
    monkeypatch.setattr(connection_bounds, "HEAD_SECONDS", 0.3)
    readers = [await connect(sent) for sent in (b"", REQUEST[:-2], REQUEST + REQUEST[:-2])]
    assert (await readers[2].readuntil(b"done")).startswith(b"HTTP/1.1 200 OK")
    async with asyncio.timeout(5):
        assert [await reader.read() for reader in readers] == [b""] * 3


@pytest.mark.failure("F371")
async def test_idle_connections_do_not_keep_others_out(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the connection that is idle for longest is closed for a new one."""
    monkeypatch.setattr(connection_bounds, "MAX_CONNECTIONS", LIMIT)
    held = [await connect(REQUEST[:9]) for _ in range(3 * LIMIT)]
    assert await (await connect(REQUEST)).readuntil(b"done")
    assert [await is_closed(reader) for reader in held] == [True] * (2 * LIMIT + 1) + [False] * (LIMIT - 1)


@pytest.mark.failure("F371")
async def test_an_open_page_and_a_request_keep_their_connections(
    port: int, connect: Connect, gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long they last. If there is no other connection, the new one is closed."""
    monkeypatch.setattr(connection_bounds, "MAX_CONNECTIONS", LIMIT)
    monkeypatch.setattr(connection_bounds, "HEAD_SECONDS", 0.1)
    async with ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}/") as page:
        slow = [await connect(REQUEST.replace(b"/ ", b"/slow ")) for _ in range(LIMIT - 1)]
        await asyncio.sleep(0.3)
        assert await is_closed(await connect(b""))
        await page.send_str("still open")
        assert await page.receive_str(timeout=5) == "still open"
        gate.set()
        assert [(await reader.readuntil(b"done"))[-4:] for reader in slow] == [b"done"] * len(slow)


@pytest.mark.failure("F371")
async def test_a_client_that_reads_nothing_is_closed(
    port: int, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After UNREAD_SECONDS. Then others can connect."""
    monkeypatch.setattr(connection_bounds, "MAX_CONNECTIONS", LIMIT)
    monkeypatch.setattr(connection_bounds, "UNREAD_SECONDS", 0.5)
    for _ in range(LIMIT):
        await connect(REQUEST.replace(b"/ ", b"/large "))
    await asyncio.sleep(0.1)
    assert await is_closed(await connect(REQUEST))
    await asyncio.sleep(2)
    assert await (await connect(REQUEST)).readuntil(b"done")
