"""The routes of the data API. Each GET of /data moves a cursor before the first byte of the batch is sent."""

import asyncio
import hmac
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import orjson
import prometheus_client
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from veleta.input.row_counts import RowCounts
from veleta.service.health import ServiceHealth
from veleta_source.domain.market import FIRST_EPOCH
from veleta_source.domain.protocol import END, HEALTHY, RESTARTED, WELCOME, InvalidQuery, Query, body_parts, parse_query

log = structlog.get_logger()
SERVED = prometheus_client.Counter("veleta_source_batches", "batches served", ["number"])
ROWS = prometheus_client.Gauge(
    "veleta_source_rows", "rows of the input, by outcome: complete, incomplete or left_out", ["outcome"]
)
LEFT_OUT = prometheus_client.Gauge(
    "veleta_source_rows_left_out", "rows that are left out, by reason; a row may have several", ["reason"]
)
CHUNK_BYTES = 256 * 1024
DATA, RESTART = "/data", "/restart_data_generation"
UNSAFE_PATHS = (DATA, RESTART)
"""The paths whose GET moves a cursor."""
CHECK_SECONDS = 0.2
"""The pause between two checks that the cursors can be changed, and whether a cursor needs other batches."""
BATCHES = "batches"
"""What /readyz waits for while batches are created."""
CLIENT_LEFT = 499
"""The status of a response that nobody receives."""


class Cursors(Protocol):
    """The cursors by name. `advance` and `restart` block until a change is durable, and run one at a time."""

    @property
    def newest_epoch(self) -> int:
        """The greatest epoch of all cursors."""

    def epoch(self, name: str) -> int:
        """The epoch of the cursor."""

    def advance(self, name: str, batches: int) -> int | None:
        """Move the cursor and return the number of the next batch. None at the end of the `batches`."""

    def restart(self, name: str) -> None:
        """Move the cursor to batch 0 of the next epoch. One that is at batch 0 stays: the restart is repeated."""


@dataclass(frozen=True)
class BatchFiles:
    """The files of the batches, by number: rows as JSON objects with commas between them.

    `counts` has the counts of all rows, and `summary` shows them in one line.
    """

    paths: list[Path]
    counts: RowCounts
    summary: str


class Input(Protocol):
    """Where the rows come from. `repeats`: each epoch has those of the first one."""

    @property
    def repeats(self) -> bool: ...

    def doing(self, epoch: int) -> str:
        """What `create` does, in words."""

    def create(self, epoch: int, kept: Collection[int], report_progress: Callable[[int], None]) -> BatchFiles:
        """Create the batches of an epoch, and delete those of all other epochs that are not `kept`.

        `report_progress` is called now and then with the number of rows so far. Blocks. Raises Retry or Stop.
        """


class DataApi:
    """The data API. Requests of /data wait until the batches of their epoch are created."""

    def __init__(self, source: Input, cursors: Cursors, health: ServiceHealth, token: str = "") -> None:
        """With a `token`, only a request that has it moves a cursor."""
        self._authorization = f"Bearer {token}".encode() if token else b""
        self._input = source
        self._cursors = cursors
        self._health = health
        self._batches: dict[int, list[Path]] = {}
        """The batches on disk by epoch: those of the cursors that this process has served."""
        self._served: set[str] = set()
        """The names of these cursors."""
        self._changed = asyncio.Condition()
        """Its lock is held while a cursor is moved. It is notified when batches were created."""

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
        """Create the batches that the cursors need, until the service stops. Raises Stop if they cannot be created."""
        await self._health.supervise("serving", self._run())

    async def _run(self) -> None:
        while True:
            async with self._changed:  # a change of a cursor that hangs holds it, and then nothing can be served
                needed = self._needed_epochs()
            for epoch in sorted(needed - self._batches.keys()):
                await self._create(epoch, needed)
            if not await self._health.sleep(CHECK_SECONDS):
                return

    def _needed_epochs(self) -> set[int]:
        """The epochs of the cursors that were served; before the first request the newest one."""
        if served := {self._epoch(name) for name in self._served}:
            return served
        return {FIRST_EPOCH if self._input.repeats else self._cursors.newest_epoch}

    def _epoch(self, cursor: str) -> int:
        """The epoch whose rows a cursor gets."""
        return FIRST_EPOCH if self._input.repeats else self._cursors.epoch(cursor)

    async def _create(self, epoch: int, needed: set[int]) -> None:
        """Create the batches of an epoch. Those that are not needed are deleted first."""
        self._batches = {each: paths for each, paths in self._batches.items() if each in needed}
        doing = self._input.doing(epoch)
        self._health.set_unavailable(BATCHES, doing)
        create = partial(self._input.create, epoch, [*self._batches], partial(self._report_progress, doing))
        created = await self._health.retry_until_available(partial(asyncio.to_thread, create))
        async with self._changed:
            self._batches[epoch] = created.paths
            self._changed.notify_all()
        _show_counts(created.counts)
        self._health.set_warning("rows", created.counts.warning())
        self._health.set_available(BATCHES)
        self._health.mark_started()
        self._health.set_activity(f"serving {len(created.paths)} batches; {created.summary}")

    def _report_progress(self, doing: str, rows: int) -> None:
        if self._health.stopping.is_set():
            raise asyncio.CancelledError("stopping")
        self._health.set_activity(f"{doing} ({rows:,} rows)")

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
        async with self._changed:
            await asyncio.to_thread(self._cursors.restart, query.cursor)
            self._served.add(query.cursor)
        return _json_response(RESTARTED)

    async def _serve_batch(self, request: web.Request) -> web.StreamResponse:
        query = parse_query(dict(request.query.items()))
        async with self._changed:
            self._served.add(query.cursor)
            is_created = self._epoch(query.cursor) in self._batches
            await self._changed.wait_for(lambda: self._epoch(query.cursor) in self._batches)
            if not is_created and request.transport is None:
                return web.Response(status=CLIENT_LEFT)  # while it waited: its next request gets this batch
            batches = self._batches[self._epoch(query.cursor)]
            number = await asyncio.to_thread(self._cursors.advance, query.cursor, len(batches))
            if number is None:
                return _json_response(END, status=400)
            batch = await asyncio.to_thread(batches[number].open, "rb")  # the file may be deleted when it is open
        SERVED.labels(number).inc()
        with batch:
            return await _send_batch(request, query, number, batch)


def _show_counts(counts: RowCounts) -> None:
    ROWS.labels("complete").set(counts.complete)
    ROWS.labels("incomplete").set(counts.incomplete)
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


async def _send_batch(request: web.Request, query: Query, number: int, batch: BinaryIO) -> web.StreamResponse:
    head, tail = body_parts(query, number)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(head) + os.fstat(batch.fileno()).st_size + len(tail)
    try:
        await response.prepare(request)
        await response.write(head)
        while chunk := await asyncio.to_thread(batch.read, CHUNK_BYTES):
            await response.write(chunk)
        await response.write_eof(tail)
    except ConnectionResetError:
        log.warning("client disconnected", cursor=query.cursor, batch=number)
    return response
