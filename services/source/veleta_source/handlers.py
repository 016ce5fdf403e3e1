"""What source answers. Each GET of /data moves the asker's cursor, before the first byte of the rows is sent."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import orjson
import prometheus_client
import structlog
from aiohttp import web

from veleta.service.health import ServiceHealth
from veleta_source.domain.protocol import END, HEALTHY, RESTARTED, WELCOME, Question, WrongQuestion, around, ask

log = structlog.get_logger()
SENT = prometheus_client.Counter("veleta_source_batches", "batches handed out", ["number"])


class Batch(Protocol):
    """A batch that is ready to send: its rows as JSON objects with commas between."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """The content, piece by piece. Blocks."""
        ...


class Cursors(Protocol):
    """How far each asker came. Both methods block until the change is durable, and must not run at the same time."""

    def advance(self, name: str, batches: int) -> int | None:
        """The number of the batch that is due, and move on; None at the end of the `batches` there are."""
        ...

    def restart(self, name: str) -> None:
        """Batch 0 is due again."""
        ...


Split = Callable[[Callable[[int], None]], Sequence[Batch]]
"""Splits the file into its batches; calls its argument now and then with the number of lines read. Blocks."""


class Api:
    """The API's routes, and the splitting that must come first: until it is done, /data keeps its askers waiting."""

    def __init__(self, split: Split, cursors: Cursors, health: ServiceHealth) -> None:
        self._split = split
        self._cursors = cursors
        self._health = health
        self._turn = asyncio.Lock()
        self._batches: asyncio.Future[Sequence[Batch]] = asyncio.get_running_loop().create_future()

    def routes(self) -> web.Application:
        """The routes; GET alone, since a HEAD would move the cursor too."""
        app = web.Application()
        routes = {
            "/": self._welcome,
            "/health": self._health_page,
            "/data": self._data,
            "/restart_data_generation": self._restart,
        }
        app.add_routes([web.get(path, handler, allow_head=False) for path, handler in routes.items()])
        return app

    async def run(self) -> None:
        """Split the file, then serve until the service stops. Raises Stop when the file cannot be split."""
        self._health.set_unavailable("batches", "splitting")
        batches = await asyncio.to_thread(self._split, self._report)
        self._batches.set_result(batches)
        self._health.set_available("batches")
        self._health.mark_started()
        self._health.set_activity(f"serving {len(batches)} batches")
        while await self._health.sleep(60):
            pass

    def _report(self, lines: int) -> None:
        if self._health.stopping.is_set():
            raise asyncio.CancelledError("stopping")
        self._health.set_activity(f"splitting ({lines} lines)")

    async def _welcome(self, _request: web.Request) -> web.Response:
        return _answer(WELCOME)

    async def _health_page(self, _request: web.Request) -> web.Response:
        return _answer(HEALTHY)

    async def _restart(self, request: web.Request) -> web.Response:
        try:
            question = _question(request)
        except WrongQuestion as error:
            return _unprocessable(error)
        async with self._turn:
            await asyncio.to_thread(self._cursors.restart, question.cursor)
        return _answer(RESTARTED)

    async def _data(self, request: web.Request) -> web.StreamResponse:
        try:
            question = _question(request)
        except WrongQuestion as error:
            return _unprocessable(error)
        batches = await asyncio.shield(self._batches)
        async with self._turn:
            number = await asyncio.to_thread(self._cursors.advance, question.cursor, len(batches))
        if number is None:
            return _answer(END, status=400)
        SENT.labels(number).inc()
        return await _send(request, question, number, batches[number])


def _answer(content: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def _question(request: web.Request) -> Question:
    return ask(dict(request.query.items()))


def _unprocessable(error: WrongQuestion) -> web.Response:
    return _answer({"detail": error.faults}, status=422)


async def _send(request: web.Request, question: Question, number: int, batch: Batch) -> web.StreamResponse:
    head, tail = around(question, number)
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    answer.content_length = len(head) + batch.size + len(tail)
    try:
        await answer.prepare(request)
        await answer.write(head)
        rows = batch.pieces()
        while piece := await asyncio.to_thread(next, rows, b""):
            await answer.write(piece)
        await answer.write_eof(tail)
    except ConnectionResetError:
        log.warning("the client went away", asker=question.cursor, batch=number)
    return answer
