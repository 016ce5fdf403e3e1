"""The data API over HTTP. Each GET of /data moves the API's cursor, so no request is repeated here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
import orjson

from veleta.clock import Clock
from veleta.errors import Retry
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.domain.refusals import CHECK_URL
from veleta_poller.ports import ResponseInterrupted, StoredResponse

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
MAX_BODY_SHOWN = 100
MAX_REDIRECTS = 10
MAX_RETRY_AFTER = 600.0
"""The longest pause, in seconds, that an API can ask for with Retry-After."""
OVERLOADED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
REDIRECTED = (301, 302, 303, 307, 308)
DEFAULT_PORTS = {"http": 80, "https": 443}
NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Errors before a connection exists: the API did not get the request."""


class HttpApi:
    """`ports.Api` for one group. See `connect`."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, group: int, inbox: Inbox, clock: Clock, max_response: int
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._query = urlencode({"group_number": group})
        self._inbox = inbox
        self._clock = clock
        self._max_response = max_response

    async def fetch(self, on_progress: Callable[[int], None]) -> StoredResponse:
        received = 0
        try:
            async with self._get("/data") as (response, redirect):
                with self._inbox.receive(response.status) as partial:
                    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                        partial.write(chunk)
                        on_progress(received := partial.size)
                        if received > self._max_response:
                            break  # it is refused by its size, and its beginning is quarantined
                    stored = await asyncio.to_thread(partial.complete)
        except Retry as error:
            raise ResponseInterrupted(str(error), error.dependency) from error
        except NOT_SENT as error:
            raise Retry("api", error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ResponseInterrupted(f"GET /data broke off after {received:,} bytes: {_describe(error)}") from error
        return replace(stored, redirect=redirect, retry_after=self._retry_after(response))

    async def restart(self) -> None:
        try:
            async with self._get("/restart_data_generation") as (response, redirect):
                body = b""
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    body += chunk
                    if len(body) > CHUNK_BYTES:
                        break
        except (aiohttp.ClientError, OSError) as error:
            raise Retry("api", f"restart: {_describe(error)}") from error
        if not _is_confirmed(body):
            shown = redirect or body[:MAX_BODY_SHOWN].decode(errors="replace")
            raise Retry("api", f"GET /restart_data_generation answered {response.status} {shown}")

    @asynccontextmanager
    async def _get(self, path: str) -> AsyncIterator[tuple[aiohttp.ClientResponse, str]]:
        """The response, and why its redirect is not followed, if it is one."""
        url, visited = f"{self._url}{path}?{self._query}", list[str]()
        while True:
            visited.append(url)
            async with self._session.get(url, allow_redirects=False) as response:
                target = _redirect_target(response, url)
                refusal = _refuse_redirect(target, visited) if target else ""
                if target is None or refusal:
                    yield response, refusal
                    return
            url = target

    def _retry_after(self, response: aiohttp.ClientResponse) -> float:
        """How many seconds the API asked to wait. 0 if it did not."""
        value = response.headers.get("Retry-After", "") if response.status in OVERLOADED else ""
        try:
            seconds = int(value) if value.isdecimal() else _seconds_until(value, self._clock())
        except (ValueError, TypeError, OverflowError):
            return 0.0
        return min(max(0.0, seconds), MAX_RETRY_AFTER)


@asynccontextmanager
async def connect(
    url: str, group: int, inbox: Inbox, clock: Clock, max_response: int, total: float, read: float, token: str = ""
) -> AsyncIterator[HttpApi]:
    """The API at this address; no more than `max_response` bytes are received. `total`, `read`: timeouts in seconds.

    A `token` is sent with each request. No other server gets it, since no redirect to one is followed.
    """
    timeout = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_SECONDS, sock_read=read)
    connector = aiohttp.TCPConnector(force_close=True)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, headers=headers, middlewares=[_send_once]
    ) as session:
        yield HttpApi(session, url, group, inbox, clock, max_response)


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Prevent aiohttp from repeating a GET when the server closes the connection before it responds."""
    try:
        return await send(request)
    except NOT_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError(_describe(error)) from error


def _redirect_target(response: aiohttp.ClientResponse, url: str) -> str | None:
    """The address that the response to a request for `url` redirects to. None if there is no valid one."""
    location = response.headers.get("Location") if response.status in REDIRECTED else None
    try:
        target = urljoin(url, location) if location else None
        return target if target and _server(target) else None
    except ValueError:
        return None


def _refuse_redirect(target: str, visited: Sequence[str]) -> str:
    """Why a redirect is not followed. Empty if it is: only those to other paths of the same server are."""
    if _server(target) != _server(visited[0]):
        return f"it redirects to {target}, another server, which is not followed: {CHECK_URL}"
    if target in visited:
        return f"it redirects in a circle, to {urlsplit(target).path}: {CHECK_URL}"
    return f"it redirects more than {MAX_REDIRECTS} times: {CHECK_URL}" if len(visited) > MAX_REDIRECTS else ""


def _server(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port. Raises ValueError if the port is not valid."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


def _seconds_until(http_date: str, now: datetime) -> float:
    return (parsedate_to_datetime(http_date) - now).total_seconds()


def _describe(error: Exception) -> str:
    """The error in a line, without the parser's error that aiohttp appends."""
    return f"{type(error).__name__} {str(error).partition(': <')[0]}".strip()


def _is_confirmed(body: bytes) -> bool:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return content == ["ok"] or (isinstance(content, dict) and content.get("ok") is True)
