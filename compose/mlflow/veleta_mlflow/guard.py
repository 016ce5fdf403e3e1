"""Stands in front of MLflow's server: an allow-list of paths, and a token for each write."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from veleta_mlflow.access import rule_for

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_BODY_LIMIT = 2**20
"""Bytes of the body of a request that needs no token. MLflow reads a body into memory."""
OPEN_BODY_SECONDS = 10.0
"""Such a body must arrive within this time: the connection of an incomplete request is not closed for another one."""
_SCHEME = b"bearer "
_ERROR_CODES = {
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "ENDPOINT_NOT_FOUND",
    HTTPStatus.REQUEST_TIMEOUT: "DEADLINE_EXCEEDED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "INVALID_PARAMETER_VALUE",
}
"""MLflow's codes, which its clients read."""


class Refused(Exception):
    """The request does not reach MLflow."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """An ASGI application that passes on what `veleta_mlflow.access` lists. It serves no WebSocket."""

    def __init__(self, app: App, tokens: Mapping[str, str]) -> None:
        """`tokens` has the token of each writer."""
        self._app = app
        self._tokens = {writer: token.encode() for writer, token in tokens.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            passed = await self._checked(scope, receive)
        except Refused as refused:
            await _respond(send, refused)
            return
        await self._app(scope, passed, send)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """What MLflow receives the body from. Raises Refused."""
        rule = rule_for(scope["method"], scope["path"])
        if rule is None:
            raise Refused(HTTPStatus.NOT_FOUND, "Veleta does not serve this path of MLflow")
        if not rule.writers:
            try:
                async with asyncio.timeout(OPEN_BODY_SECONDS):
                    return await _bounded(receive)
            except TimeoutError:
                raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None
        writers = self._writers(scope["headers"])
        if not writers:
            raise Refused(HTTPStatus.UNAUTHORIZED, "writes need the token of a writer in MLFLOW_TRACKING_TOKEN")
        if not writers & rule.writers:
            raise Refused(HTTPStatus.FORBIDDEN, f"{' and '.join(writers)} may not write this")
        return receive

    def _writers(self, headers: Iterable[tuple[bytes, bytes]]) -> set[str]:
        """Whose token the request has. Each comparison takes the same time for every wrong token."""
        given = next((value for name, value in headers if name == b"authorization"), b"")
        if given[: len(_SCHEME)].lower() != _SCHEME:
            return set()
        secret = given[len(_SCHEME) :]
        return {writer for writer, token in self._tokens.items() if hmac.compare_digest(token, secret)}


async def _bounded(receive: Receive) -> Receive:
    """Read a body up to the limit, and give it to MLflow as one message. Raises Refused."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > OPEN_BODY_LIMIT:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {OPEN_BODY_LIMIT} bytes")
    messages = iter([{"type": "http.request", "body": body}])

    async def replayed() -> Message:
        return next(messages, None) or await receive()

    return replayed


async def _respond(send: Send, refused: Refused) -> None:
    body = json.dumps({"error_code": _ERROR_CODES[refused.status], "message": str(refused)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refused.status is HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": int(refused.status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
