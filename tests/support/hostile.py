"""A data API that misbehaves: it responds by a script, in a thread of its own."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from support.http import data_api

END = "Ya se recolectó toda la información mínima necesaria"
SPELLINGS = (END, END.upper(), f"{END}.", "Ya se recolecto toda la informacion minima necesaria")
"""The detail at the end of the data, as the course's API writes it, and variants."""

Scripted = tuple[int, bytes] | Callable[[web.Request], Any]
"""Status and body, or a handler."""


def batch(number: int, price: float = 1.0) -> Scripted:
    """A batch of three rows with one column. Missing columns are only a finding."""
    return of_rows(number, [{"price": price + i} for i in range(3)])


def of_rows(number: int, rows: Sequence[dict[str, Any]]) -> Scripted:
    """A batch of these rows. NaN and Infinity are written as Python writes them."""
    return 200, json.dumps({"group_number": 7, "batch_number": number, "data": rows}).encode()


def detail(text: str, status: int) -> Scripted:
    """An error in FastAPI's form."""
    return status, json.dumps({"detail": text}, ensure_ascii=False).encode()


async def hang_up(request: web.Request) -> web.Response:
    """Close the connection without a response."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    """Send less of the body than Content-Length announces."""
    response = web.StreamResponse()
    response.content_length = 1_000
    await response.prepare(request)
    await response.write(b'{"batch_number": 1, "data": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def silence(_request: web.Request) -> web.Response:
    """Send nothing until every client has timed out."""
    await asyncio.sleep(30)
    return web.Response()


class HostileApi:
    """An API that responds by a script. After its end every response is 503."""

    def __init__(self, script: list[Scripted]) -> None:
        self.script = script
        self.requests = 0
        self.restarts = 0

    async def data(self, request: web.Request) -> web.StreamResponse:
        """GET /data."""
        self.requests += 1
        scripted = self.script.pop(0) if self.script else (503, b"busy")
        if isinstance(scripted, tuple):
            return web.Response(status=scripted[0], body=scripted[1])
        response: web.StreamResponse = await scripted(request)
        return response

    async def restart(self, _request: web.Request) -> web.Response:
        """GET /restart_data_generation: the first one fails. Later ones are confirmed in one of the two known forms."""
        self.restarts += 1
        if self.restarts == 1:
            return web.Response(status=500)
        return web.json_response(["ok"] if self.restarts % 2 else {"ok": True})


@contextmanager
def hostile_api(script: list[Scripted], port: int | None = None) -> Iterator[tuple[HostileApi, str]]:
    """The API and its address, for as long as the block runs."""
    api = HostileApi(list(script))
    with data_api(api.data, api.restart, port) as url:
        yield api, url
