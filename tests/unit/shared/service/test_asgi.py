"""The check of a request's origin for ASGI applications."""

from collections.abc import Sequence
from typing import Any

import pytest

from veleta.service.asgi import NO_FRAMES, Message, OriginGuard, Receive, Scope, Send
from veleta.service.origins import OriginPolicy

POLICY = OriginPolicy(["monitor.example.com"], "MONITOR_HOSTS")
EVIL, OWN = (b"host", b"evil.test"), (b"host", b"localhost:8501")


async def answer(kind: str, *headers: tuple[bytes, bytes]) -> Sequence[Message]:
    """What is sent to a client. The application behind the guard answers with its own header."""
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": f"{kind}.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": kind, "path": "/", "headers": headers}
    await OriginGuard(app, POLICY)(scope, receive, send)
    return sent


@pytest.mark.failure("F378")
async def test_what_the_policy_refuses_does_not_reach_the_application() -> None:
    """A WebSocket is closed before it is accepted."""
    start, body = await answer("http", EVIL)
    assert (start["status"], body["body"]) == (403, POLICY.refusal("GET", "/", {"host": "evil.test"}).encode())
    assert await answer("websocket", EVIL) == [{"type": "websocket.close", "code": 1008}]
    assert await answer("websocket", OWN, (b"origin", b"http://localhost:9")) == [
        {"type": "websocket.close", "code": 1008}
    ]


@pytest.mark.failure("F379")
async def test_each_response_forbids_frames() -> None:
    """In addition to its own headers. The start of the server is no request."""
    [start] = await answer("http", OWN)
    assert start["headers"] == [(b"a", b"b"), *NO_FRAMES]
    [event] = await answer("lifespan")
    assert event["headers"] == [(b"a", b"b")]
