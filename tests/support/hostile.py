"""The data API at its worst: answers by a script, in a thread of its own."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from support.http import data_api

END = "Ya se recolectó toda la información mínima necesaria"
SPELLINGS = (END, END.upper(), f"{END}.", "Ya se recolecto toda la informacion minima necesaria")
"""The end as it was seen, and as it might be written."""

Answer = tuple[int, bytes] | Callable[[web.Request], Any]


def batch(number: int, price: float = 1.0) -> Answer:
    """A good answer of three rows; rows need no more than a column to be published."""
    return of_rows(number, [{"price": price + i} for i in range(3)])


def of_rows(number: int, rows: Sequence[dict[str, Any]]) -> Answer:
    """An answer with these rows, whatever they are; NaN and Infinity are written as Python does."""
    return 200, json.dumps({"group_number": 7, "batch_number": number, "data": rows}).encode()


def detail(text: str, status: int) -> Answer:
    """What FastAPI answers to a wrong request."""
    return status, json.dumps({"detail": text}, ensure_ascii=False).encode()


async def hang_up(request: web.Request) -> web.Response:
    """Close the connection without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    """Say how long the body is, and send half of it."""
    answer = web.StreamResponse()
    answer.content_length = 1_000
    await answer.prepare(request)
    await answer.write(b'{"batch_number": 1, "data": [')
    assert request.transport is not None
    request.transport.close()
    return answer


async def silence(_request: web.Request) -> web.Response:
    """Say nothing for longer than anyone waits."""
    await asyncio.sleep(30)
    return web.Response()


class Hostile:
    """An API that answers by a script, and then that the server is busy."""

    def __init__(self, script: list[Answer]) -> None:
        self.script = script
        self.asked = 0
        self.restarted = 0
        self.metrics = ""

    async def data(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        answer = self.script.pop(0) if self.script else (503, b"busy")
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], body=answer[1])
        response: web.StreamResponse = await answer(request)
        return response

    async def restart(self, _request: web.Request) -> web.Response:
        self.restarted += 1
        if self.restarted == 1:
            return web.Response(status=500)
        return web.json_response(["ok"] if self.restarted % 2 else {"ok": True})


@contextmanager
def answering(script: list[Answer], port: int | None = None) -> Iterator[tuple[Hostile, str]]:
    """The API in a thread of its own, with its address."""
    api = Hostile(list(script))
    with data_api(api.data, api.restart, port) as url:
        yield api, url
