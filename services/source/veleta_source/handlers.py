"""The routes of the data API. Each GET of /data moves a cursor before the first byte of the batch is sent."""

import asyncio
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson
import prometheus_client
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from veleta.input.row_counts import RowCounts
from veleta.service.health import ServiceHealth
from veleta_source.domain.protocol import END, HEALTHY, RESTARTED, WELCOME, InvalidQuery, Query, body_parts, parse_query

log = structlog.get_logger()
SERVED = prometheus_client.Counter("veleta_source_batches", "batches served", ["number"])
ROWS = prometheus_client.Gauge("veleta_source_rows", "rows of the input, by outcome: complete or left_out", ["outcome"])
LEFT_OUT = prometheus_client.Gauge(
    "veleta_source_rows_left_out", "rows that are left out, by reason; a row may have several", ["reason"]
)
CHUNK_BYTES = 256 * 1024
DATA, RESTART = "/data", "/restart_data_generation"
UNSAFE_PATHS = (DATA, RESTART)
"""The paths whose GET moves a cursor."""
LOCK_SECONDS = 10.0
"""The pause between two checks that the cursors can be changed."""


class Cursors(Protocol):
    """The cursors by name. Both methods block until a change is durable, and must not run at the same time."""

    def advance(self, name: str, batches: int) -> int | None:
        """Move the cursor and return the number of the next batch. None at the end of the `batches`."""

    def restart(self, name: str) -> None:
        """Move the cursor to batch 0."""


@dataclass(frozen=True)
class BatchFiles:
    """The files of the batches, by number: rows as JSON objects with commas between them.

    `counts` has the counts of all rows, and `summary` shows them in one line.
    """

    paths: list[Path]
    counts: RowCounts
    summary: str


CreateBatches = Callable[[Callable[[int], None]], BatchFiles]
"""Creates the batches. The argument is called now and then with the number of rows so far. Blocks. Raises Stop."""


class DataApi:
    """The data API. Requests of /data wait until the batches are created."""

    def __init__(self, create_batches: CreateBatches, cursors: Cursors, health: ServiceHealth, token: str = "") -> None:
        """With a `token`, only a request that has it moves a cursor."""
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._create_batches = create_batches
        self._cursors = cursors
        self._health = health
        self._cursor_lock = asyncio.Lock()
        self._batches: asyncio.Future[list[Path]] = asyncio.get_running_loop().create_future()

    def routes(self) -> web.Application:
        """The routes. A HEAD is not allowed, since it would move a cursor too."""
        app = web.Application(middlewares=[self._require_token, _handle_invalid_query])
        routes = {
            "/": self._welcome,
            "/health": self._show_health,
            DATA: self._serve_batch,
            RESTART: self._restart,
        }
        app.add_routes([web.get(path, handler, allow_head=False) for path, handler in routes.items()])
        return app

    async def run(self) -> None:
        """Create the batches, then serve until the service stops. Raises Stop if the batches cannot be created."""
        await self._health.supervise("serving", self._run())

    async def _run(self) -> None:
        self._health.set_unavailable("batches", "splitting")
        batches = await asyncio.to_thread(self._create_batches, self._report_progress)
        self._batches.set_result(batches.paths)
        _show_counts(batches.counts)
        self._health.set_warning("rows", batches.counts.warning())
        self._health.set_available("batches")
        self._health.mark_started()
        self._health.set_activity(f"serving {len(batches.paths)} batches; {batches.summary}")
        while await self._health.sleep(LOCK_SECONDS):
            async with self._cursor_lock:
                pass  # a change of a cursor that hangs holds it, and then nothing can be served

    def _report_progress(self, rows: int) -> None:
        if self._health.stopping.is_set():
            raise asyncio.CancelledError("stopping")
        self._health.set_activity(f"splitting ({rows:,} rows)")

    @web.middleware
    async def _require_token(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        needed = self._authorization if request.path in UNSAFE_PATHS else b""
        if needed and not hmac.compare_digest(given, needed):
            detail = "send the token of SOURCE_TOKEN as Authorization: Bearer TOKEN"
            return _json_response({"detail": detail}, status=401)
        return await handler(request)

    async def _welcome(self, _request: web.Request) -> web.Response:
        return _json_response(WELCOME)

    async def _show_health(self, _request: web.Request) -> web.Response:
        return _json_response(HEALTHY)

    async def _restart(self, request: web.Request) -> web.Response:
        query = parse_query(dict(request.query.items()))
        async with self._cursor_lock:
            await asyncio.to_thread(self._cursors.restart, query.cursor)
        return _json_response(RESTARTED)

    async def _serve_batch(self, request: web.Request) -> web.StreamResponse:
        query = parse_query(dict(request.query.items()))
        batches = await asyncio.shield(self._batches)
        async with self._cursor_lock:
            number = await asyncio.to_thread(self._cursors.advance, query.cursor, len(batches))
        if number is None:
            return _json_response(END, status=400)
        SERVED.labels(number).inc()
        return await _send_batch(request, query, number, batches[number])


def _show_counts(counts: RowCounts) -> None:
    ROWS.labels("complete").set(counts.complete)
    ROWS.labels("left_out").set(counts.left_out)
    for reason, count in counts.reasons.items():
        LEFT_OUT.labels(reason).set(count)


@web.middleware
async def _handle_invalid_query(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except InvalidQuery as error:
        return _json_response({"detail": error.details}, status=422)


def _json_response(content: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


async def _send_batch(request: web.Request, query: Query, number: int, batch: Path) -> web.StreamResponse:
    head, tail = body_parts(query, number)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(head) + (await asyncio.to_thread(batch.stat)).st_size + len(tail)
    try:
        await response.prepare(request)
        await response.write(head)
        chunks = _read_chunks(batch)
        while chunk := await asyncio.to_thread(next, chunks, b""):
            await response.write(chunk)
        await response.write_eof(tail)
    except ConnectionResetError:
        log.warning("client disconnected", cursor=query.cursor, batch=number)
    return response


def _read_chunks(batch: Path) -> Iterator[bytes]:
    with batch.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
