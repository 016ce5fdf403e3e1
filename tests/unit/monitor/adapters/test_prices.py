"""The request for a price, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from support.http import served
from support.testbed import free_port
from veleta.errors import Retry
from veleta_monitor.adapters.prices import PriceClient

ROW = {"bed": 4.0, "zip_code": "06016"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def inference(handler: Handler) -> web.Application:
    """A server whose POST /predict is this handler."""
    app = web.Application()
    app.add_routes([web.post("/predict", handler)])
    return app


@pytest.mark.parametrize(("key", "sent"), [("secret", "secret"), ("", None)])
def test_a_row_is_posted_as_json(key: str, sent: str | None) -> None:
    """With the key, if there is one. A refusal is an answer too."""
    received: list[Any] = []

    async def predict(request: web.Request) -> web.Response:
        received.append((request.headers.get("X-API-Key"), await request.json()))
        return web.json_response({"detail": "see `errors`"}, status=422, content_type="application/problem+json")

    with served(inference(predict)) as url:
        assert PriceClient(url, key).ask(ROW) == (422, {"detail": "see `errors`"})
    assert received == [(sent, ROW)]


@pytest.mark.failure("F475")
def test_an_answer_that_is_no_json_is_none() -> None:
    """As that of a proxy in between."""

    async def predict(_request: web.Request) -> web.Response:
        return web.Response(body=b"<html>\xff", status=502, content_type="text/html")

    with served(inference(predict)) as url, pytest.raises(Retry, match=r"^inference: invalid response$"):
        PriceClient(url).ask(ROW)


@pytest.mark.failure("F475")
def test_an_answer_that_does_not_come_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page waits only so long."""
    monkeypatch.setattr("veleta_monitor.adapters.prices.TIMEOUT", aiohttp.ClientTimeout(total=0.05))

    async def predict(_request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    with served(inference(predict)) as url, pytest.raises(Retry, match=r"^inference: no response within"):
        PriceClient(url).ask(ROW)


@pytest.mark.failure("F475")
def test_an_unreachable_inference_is_named() -> None:
    """With the reason."""
    with pytest.raises(Retry, match=r"^inference: cannot connect$"):
        PriceClient(f"http://127.0.0.1:{free_port()}").ask(ROW)
