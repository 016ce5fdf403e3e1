"""The data API over HTTP, on a server in the same process."""

import contextlib
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
from veleta_poller.ports import ResponseInterrupted, StoredResponse

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY = b'{"batch_number": 0}'
MAX_RESPONSE = 2**20


@asynccontextmanager
async def serving(folder: Path, routes: Mapping[str, Handler]) -> AsyncIterator[HttpApi]:
    """An API with a handler for each path."""
    async with (
        TestServer(_application(routes)) as server,
        connect(str(server.make_url("/")), 7, Inbox(folder, Clock()), Clock(), MAX_RESPONSE, total=10, read=10) as api,
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


async def serve(request: web.Request) -> web.StreamResponse:
    """A batch for group 7."""
    return web.Response(body=BODY) if request.query == {"group_number": "7"} else web.Response(status=422)


async def test_the_body_is_in_the_inbox(tmp_path: Path) -> None:
    """Byte by byte, with its status."""
    response = await fetch(tmp_path, {"/data": serve})
    assert (response.status, response.size, response.redirect, response.retry_after) == (200, len(BODY), "", 0)
    assert (tmp_path / response.name).read_bytes() == BODY


@pytest.mark.parametrize("location", ["/data/?group_number=7", "data/?group_number=7"])
async def test_a_redirect_to_another_path_of_the_server_is_followed(tmp_path: Path, location: str) -> None:
    """The redirect leaves nothing in the inbox."""
    response = await fetch(tmp_path, {"/data": redirect(location), "/data/": serve})
    assert (response.status, response.redirect) == (200, "")
    assert Inbox(tmp_path, Clock()).unpublished() == [response]


@pytest.mark.failure("F170")
@pytest.mark.parametrize("location", ["http://127.0.0.2:1/data", "https://127.0.0.1/data", "//other/data", "mailto:x"])
async def test_a_redirect_to_another_server_is_not_followed(tmp_path: Path, location: str) -> None:
    """The rows of a server that nobody configured would be trained."""
    response = await fetch(tmp_path, {"/data": redirect(location)})
    assert response.status == 302
    assert "another server, which is not followed: is API_URL right?" in response.redirect
    assert location.rpartition("//")[2] in response.redirect


@pytest.mark.failure("F170")
async def test_a_redirect_in_a_circle_ends(tmp_path: Path) -> None:
    """At the first address that comes again."""
    response = await fetch(tmp_path, {"/data": redirect("/a", 307), "/a": redirect("/b"), "/b": redirect("/a")})
    assert "in a circle" in response.redirect
    assert response.redirect.endswith("/a: is API_URL right?")


@pytest.mark.failure("F170")
async def test_an_endless_redirect_ends(tmp_path: Path) -> None:
    """Though no address comes again."""

    async def further(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/data?n={int(request.query.get('n', 0)) + 1}")

    response = await fetch(tmp_path, {"/data": further})
    assert "redirects more than 10 times" in response.redirect


async def test_a_redirect_without_a_target_is_a_response(tmp_path: Path) -> None:
    """It is refused later, because of its status."""
    for location in ("http://[", "http://127.0.0.1:99999/"):
        response = await fetch(tmp_path, {"/data": redirect(location)})
        assert (response.status, response.redirect) == (302, "")


async def test_the_password_of_the_api_is_sent_and_not_shown(tmp_path: Path) -> None:
    """Also after a redirect to another path."""

    async def serve_user(request: web.Request) -> web.StreamResponse:
        return web.Response(body=request.headers.get("Authorization", "").encode())

    async with TestServer(_application({"/data": redirect("/data/"), "/data/": serve_user})) as server:
        url = str(server.make_url("/").with_user("ana").with_password("secret"))
        async with connect(url, 7, Inbox(tmp_path, Clock()), Clock(), MAX_RESPONSE, total=10, read=10) as api:
            response = await api.fetch(lambda _size: None)
    assert Inbox(tmp_path, Clock()).read(response).startswith(b"Basic ")
    async with TestServer(_application({"/data": redirect("/data?group_number=7")})) as server:
        url = str(server.make_url("/").with_user("ana").with_password("secret"))
        async with connect(url, 7, Inbox(tmp_path, Clock()), Clock(), MAX_RESPONSE, total=10, read=10) as api:
            assert "secret" not in (await api.fetch(lambda _size: None)).redirect


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
    assert MAX_RESPONSE < stored.size <= MAX_RESPONSE + CHUNK_BYTES
    assert Inbox(tmp_path, Clock()).unpublished() == [stored]


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
            async with connect(str(server.make_url("/")), 7, inbox, Clock(), MAX_RESPONSE, 10, 10, token) as api:
                await api.fetch(lambda _size: None)
                await api.restart()
    assert given == ["Bearer secret"] * 2 + [None] * 2
