"""The check of a request's origin for ASGI applications, such as Streamlit's: https://asgi.readthedocs.io"""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from veleta.service.origins import OriginPolicy

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NO_FRAMES = ((b"content-security-policy", b"frame-ancestors 'none'"), (b"x-frame-options", b"DENY"))
"""Headers of a response that no page may show in a frame. Old browsers know only the second."""


class OriginGuard:
    """An application around another one: it refuses what the policy refuses, and no page shows it in a frame."""

    def __init__(self, app: App, policy: OriginPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without_frames(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *NO_FRAMES]
            await send(message)

        if reason := self._refusal(scope):
            await _refuse(scope, send, reason)
        else:
            await self._app(scope, receive, send_without_frames)

    def _refusal(self, scope: Scope) -> str:
        if scope["type"] not in ("http", "websocket"):
            return ""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return self._policy.refusal(scope.get("method", "GET"), scope["path"], headers)


async def _refuse(scope: Scope, send: Send, reason: str) -> None:
    """Answer with 403. A WebSocket that is closed before it is accepted gets the same, without the reason."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(reason)).encode())]
    await send({"type": "http.response.start", "status": int(HTTPStatus.FORBIDDEN), "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
