"""The HTTP listener of every service: how many connections it has, and how long it waits for a client."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import prometheus_client
from aiohttp import web

from veleta.errors import Stop
from veleta.service import connection_bounds as bounds

LINGER_SECONDS = 2.0
"""How long the rest of a refused body is received, and dropped, so that the client can read the response."""
READ_BYTES = 64 * 1024
"""A connection buffers up to twice as many bytes that are not yet read."""
CLOSED = prometheus_client.Counter("veleta_http_connections_closed", "connections closed because there were too many")


async def listen(
    app: web.Application, host: str, port: int, worker_socket: Path | None, shutdown_seconds: float
) -> web.AppRunner:
    """Serve the application on a port, and on a Unix socket if this worker shares the port with others.

    Bodies are not decompressed: aiohttp would do so on the event loop, also for a request that is refused.

    Raises:
        Stop: the port is in use.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=shutdown_seconds,
        keepalive_timeout=bounds.HEAD_SECONDS,
        lingering_time=LINGER_SECONDS,
        read_bufsize=READ_BYTES,
        auto_decompress=False,
    )
    await runner.setup()
    loop = asyncio.get_running_loop()
    try:
        await _Site(runner, partial(loop.create_server, host=host, port=port, reuse_port=bool(worker_socket))).start()
        if worker_socket:
            await _Site(runner, partial(loop.create_unix_server, path=str(worker_socket))).start()
    except OSError as error:
        raise Stop(f"cannot listen on port {port}: {error.strerror}") from error
    return runner


class _Site(web.BaseSite):
    """A listening socket whose connections are limited, so that the process always has files to open."""

    def __init__(self, runner: web.AppRunner, create: Callable[..., Awaitable[asyncio.Server]]) -> None:
        """`create` creates the socket, as `loop.create_server`."""
        super().__init__(
            runner, backlog=bounds.connection_limit() // 2
        )  # the loop may accept so many more before it closes one
        self._create = create

    @property
    def name(self) -> str:
        return "listener"

    async def start(self) -> None:
        await super().start()
        self._server = server = await self._create(self._accept, backlog=self._backlog)
        for each in server.sockets:
            if each.family != socket.AF_UNIX:  # connections inherit it: aiohttp waits for ever for its client to read
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(bounds.UNREAD_SECONDS * 1000))

    def _accept(self) -> asyncio.Protocol:
        """The handler of a new connection. If there are too many, the one that is idle for longest is closed.

        So clients that hold connections without a request cannot keep others out.
        """
        server = self._runner.server
        assert server  # noqa: S101 - the runner is set up
        limit = bounds.connection_limit()
        if len(server.connections) >= limit:
            connections = [connection for connection in server.connections if connection.connected]
            if len(connections) >= limit:
                CLOSED.inc()
                # aiohttp has no public attributes for these two.
                idle = [connection for connection in connections if not connection._request_in_progress]
                if not idle:
                    return _Refused()
                min(idle, key=lambda connection: connection._next_keepalive_close_time).force_close()
        return server()


class _Refused(asyncio.Protocol):
    """Closes a new connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
