"""The data API over HTTP, on a server in the same process."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from support.poller import Clock
from veleta.errors import Retry
from veleta_poller.adapters.api import CHUNK_BYTES, MAX_RETRY_AFTER, HttpApi, connect
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.ports import Overloaded, ResponseInterrupted, StoredResponse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY = b'{"batch_number": 0}'
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"
"""Bytes of deflate that decompress to nothing."""
MAX_BODY = 2**20


@asynccontextmanager
async def serving(folder: Path, routes: Mapping[str, Handler]) -> AsyncIterator[HttpApi]:
    """An API with a handler for each path."""
    async with (
        TestServer(_application(routes)) as server,
        connect(str(server.make_url("/")), 7, Inbox(folder, Clock()), Clock(), MAX_BODY, total=10, read=10) as api,
    ):
        yield api


def _application(routes: Mapping[str, Handler]) -> web.Application:
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    return app


async def fetch(folder: Path, routes: Mapping[str, Handler]) -> StoredResponse:
    """The response to one GET of /data."""
    async with serving(folder, routes) as api:
        return await api.fetch(lambda _size: None)


def redirect(location: str, status: int = 302) -> Handler:
    """A handler that redirects."""

    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": location})

    return handle


def refuse(status: int, retry_after: str) -> Handler:
    """A handler that asks to wait."""

    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Retry-After": retry_after})

    return handle


def endless(encoding: str, first: bytes, rest: bytes) -> Handler:
    """A handler that sends `first`, and then `rest` again and again until the client disconnects."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": encoding})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(first)
            while True:
                await response.write(rest)
        return response

    return handle


async def serve(request: web.Request) -> web.StreamResponse:
    """A batch for group 7."""
    return web.Response(body=BODY) if request.query == {"group_number": "7"} else web.Response(status=422)


async def test_the_body_is_in_the_inbox(tmp_path: Path) -> None:
    """Byte by byte, with its status."""
    response = await fetch(tmp_path, {"/data": serve})
    assert (response.status, response.size, response.refusal, response.retry_after) == (200, len(BODY), "", 0)
    assert (tmp_path / response.name).read_bytes() == BODY


@pytest.mark.failure("F170")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/data/", "data?group_number=7", "http://127.0.0.2:1/data", "//other/data", "x:y"]
)
async def test_no_redirect_is_followed(tmp_path: Path, location: str, status: int) -> None:
    """Not to another path either: each GET of /data moves the API's cursor. The reason names the address."""
    visited = []

    async def count(request: web.Request) -> web.StreamResponse:
        visited.append(request.path)
        return await redirect(location, status)(request)

    response = await fetch(tmp_path, {"/data": count, "/data/": serve})
    assert (response.status, visited) == (status, ["/data"])
    assert f"it redirects to {location}, which is not followed: is API_URL right?" in response.refusal


async def test_a_redirect_without_a_target_is_a_response(tmp_path: Path) -> None:
    """It is refused later, because of its status."""
    response = await fetch(tmp_path, {"/data": refuse(302, "1")})
    assert (response.status, response.refusal) == (302, "")


async def test_the_password_of_the_api_is_sent_and_not_shown(tmp_path: Path) -> None:
    """Neither in the reason of a redirect."""

    async def serve_user(request: web.Request) -> web.StreamResponse:
        return web.Response(body=request.headers.get("Authorization", "").encode())

    async with TestServer(_application({"/data": serve_user})) as server:
        url = str(server.make_url("/").with_user("ana").with_password("secret"))
        async with connect(url, 7, Inbox(tmp_path, Clock()), Clock(), MAX_BODY, total=10, read=10) as api:
            response = await api.fetch(lambda _size: None)
    assert Inbox(tmp_path, Clock()).read(response).startswith(b"Basic ")
    async with TestServer(_application({"/data": redirect("/data?group_number=7")})) as server:
        url = str(server.make_url("/").with_user("ana").with_password("secret"))
        async with connect(url, 7, Inbox(tmp_path, Clock()), Clock(), MAX_BODY, total=10, read=10) as api:
            assert "secret" not in (await api.fetch(lambda _size: None)).refusal


@pytest.mark.failure("F171")
@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "20", 20),
        (503, "Thu, 01 Jan 2026 00:01:31 GMT", 90),
        (503, "Thu, 01 Jan 2020 00:00:00 GMT", 0),
        (429, "1000000", MAX_RETRY_AFTER),
        (429, "soon", 0),
        (429, "-5", 0),
        (200, "20", 0),
    ],
)
async def test_the_wish_of_an_overloaded_api_is_read(tmp_path: Path, status: int, header: str, seconds: float) -> None:
    """In seconds or as a date; at most ten minutes."""
    assert (await fetch(tmp_path, {"/data": refuse(status, header)})).retry_after == seconds


async def test_a_response_that_breaks_off_is_interrupted(tmp_path: Path) -> None:
    """The error shows how much came."""

    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1_000
        await response.prepare(request)
        await response.write(BODY)
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(ResponseInterrupted, match=f"GET /data broke off after {len(BODY)} bytes: ClientPayloadError"):
        await fetch(tmp_path, {"/data": break_off})


@pytest.mark.failure("F82")
async def test_a_restart_that_is_not_confirmed_shows_the_answer(tmp_path: Path) -> None:
    """Also if it is a redirect to another server."""
    path = "/restart_data_generation"
    for handler, reason in ((refuse(503, "1"), "answered 503"), (redirect("//other/x"), "answered 302 it redirects")):
        async with serving(tmp_path, {path: handler}) as api:
            with pytest.raises(Retry, match=f"GET {path} {reason}"):
                await api.restart()


@pytest.mark.failure("F309")
@pytest.mark.parametrize("form", ["content-length", "chunked", "gzip"])
async def test_a_response_that_is_too_large_is_not_received_to_its_end(tmp_path: Path, form: str) -> None:
    """Its size counts decompressed, and Content-Length may be absent. One byte more than the limit shows it."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if form == "content-length":
            response.content_length = 2**40
        elif form == "gzip":
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"[" * 2**20)
        return response

    stored = await fetch(tmp_path, {"/data": endless})
    assert MAX_BODY < stored.size <= MAX_BODY + CHUNK_BYTES
    assert Inbox(tmp_path, Clock()).unpublished() == [stored]


@pytest.mark.failure("F400")
async def test_the_received_bytes_are_bounded_too(tmp_path: Path) -> None:
    """An endless compressed stream may have no content at all."""
    handler = endless("deflate", zlib.compress(b"", wbits=15)[:2], EMPTY_BLOCK * 2**18)
    async with asyncio.timeout(10):
        stored = await fetch(tmp_path, {"/data": handler})
    assert stored.refusal == f"GET /data answered 200 OK with more than {MAX_BODY:,} bytes (POLLER_MAX_BODY)"
    assert stored.size == 0


@pytest.mark.failure("F400")
async def test_what_follows_a_compressed_stream_is_not_received(tmp_path: Path) -> None:
    """However much it is: zlib would hold all of it in memory."""
    handler = endless("gzip", gzip.compress(BODY), bytes(CHUNK_BYTES))
    with pytest.raises(ResponseInterrupted, match="it is not one complete gzip stream"):
        await fetch(tmp_path, {"/data": handler})


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
@pytest.mark.parametrize("size", [1, CHUNK_BYTES, MAX_BODY])
async def test_a_compressed_body_is_in_the_inbox_decompressed(
    tmp_path: Path, encoding: str, encode: Callable[[bytes], bytes], size: int
) -> None:
    """Up to the limit."""
    body = b"[" * size

    async def compressed(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "gzip, deflate"
        return web.Response(body=encode(body), headers={"Content-Encoding": encoding})

    response = await fetch(tmp_path, {"/data": compressed})
    assert (response.refusal, (tmp_path / response.name).read_bytes() == body) == ("", True)


@pytest.mark.failure("F400")
@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("br", BODY, "its encoding is br, not gzip, deflate"),
        ("gzip", BODY, "its compressed data are damaged"),
        ("gzip", gzip.compress(BODY, mtime=0)[:-1], "it is not one complete gzip stream"),
        ("gzip", gzip.compress(BODY, mtime=0) * 2, "it is not one complete gzip stream"),
    ],
)
async def test_a_body_that_cannot_be_decompressed_is_interrupted(
    tmp_path: Path, encoding: str, body: bytes, reason: str
) -> None:
    """Nothing shows whether it was a batch."""

    async def damaged(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": encoding})

    with pytest.raises(ResponseInterrupted, match=reason):
        await fetch(tmp_path, {"/data": damaged})


@pytest.mark.failure("F403")
async def test_the_wish_of_an_api_that_cannot_restart_is_read(tmp_path: Path) -> None:
    """As for a batch."""
    async with serving(tmp_path, {"/restart_data_generation": refuse(429, "20")}) as api:
        with pytest.raises(Overloaded, match="answered 429 ; the API asks to wait 20 s") as raised:
            await api.restart()
    assert raised.value.seconds == 20


async def test_the_confirmation_of_a_restart_is_bounded(tmp_path: Path) -> None:
    """An endless answer is none."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b" " * 2**20)
        return response

    async with serving(tmp_path, {"/restart_data_generation": endless}) as api:
        with pytest.raises(Retry, match="answered 200"):
            await api.restart()


async def test_the_token_is_sent_with_each_request(tmp_path: Path) -> None:
    """To an API that requires one. Without one the header is missing."""
    given: list[str | None] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        given.append(request.headers.get("Authorization"))
        return web.json_response({"ok": True})

    async with TestServer(_application({"/data": handle, "/restart_data_generation": handle})) as server:
        for token in ("secret", ""):
            inbox = Inbox(tmp_path, Clock())
            async with connect(str(server.make_url("/")), 7, inbox, Clock(), MAX_BODY, 10, 10, token) as api:
                await api.fetch(lambda _size: None)
                await api.restart()
    assert given == ["Bearer secret"] * 2 + [None] * 2
