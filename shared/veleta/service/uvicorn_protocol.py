"""uvicorn's handling of a connection, with the bounds of `veleta.service.listener`.

uvicorn's `limit_concurrency` counts idle connections too and answers 503 beyond it, so that idle clients would keep
everybody out. It has no time-out for the head of a request: https://github.com/Kludex/uvicorn/issues/157
"""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from veleta.service import connection_bounds as bounds


class BoundedProtocol(H11Protocol):
    """A connection. An open WebSocket counts, and is never closed for another one."""

    _idle_since: float
    _timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        unread = int(bounds.UNREAD_SECONDS * 1000)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread)
        self._await_head()
        if len(self.connections) > bounds.connection_limit():
            idle = [each for each in self.connections if isinstance(each, BoundedProtocol) and each._is_idle()]
            longest = min(idle, key=lambda each: each._idle_since)
            self.connections.discard(longest)
            longest.transport.close()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._timer.cancel()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self._timer.cancel()
        self._await_head()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._idle_since = self.loop.time()
        self._timer = self.loop.call_later(bounds.HEAD_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        if self._has_no_request():
            self.transport.close()

    def _has_no_request(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_idle(self) -> bool:
        """Whether its last response is sent too: uvicorn calls a response complete when all of it is in a buffer."""
        return self._has_no_request() and self.transport.get_write_buffer_size() == 0
