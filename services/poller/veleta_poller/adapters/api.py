"""The data API over HTTP. Each GET of /data moves the API's cursor, so no request is repeated here."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
import orjson

from veleta.clock import Clock
from veleta.errors import Retry
from veleta.printable import printable
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.domain.refusals import MAX_SHOWN, answered, describe_large, describe_redirect
from veleta_poller.ports import Overloaded, ResponseInterrupted, StoredResponse

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
MAX_RETRY_AFTER = 600.0
"""The longest pause, in seconds, that an API can ask for with Retry-After."""
OVERLOADED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
REDIRECTED = (301, 302, 303, 307, 308)
PLAIN = "identity"
WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""The encodings that a body may have, and zlib's number for each."""
ENCODINGS = ", ".join(WINDOW_BITS)
NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Errors before a connection exists: the API did not get the request."""


class HttpApi:
    """`ports.Api` for one group. See `connect`."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, group: int, inbox: Inbox, clock: Clock, max_body: int
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._query = {"group_number": str(group)}
        self._inbox = inbox
        self._clock = clock
        self._max_body = max_body

    async def fetch(self, on_progress: Callable[[int], None]) -> StoredResponse:
        size = 0
        try:
            async with self._get("/data") as response:
                location = _location(response)
                refusal = f"{answered(response.status)}: {describe_redirect(location)}" if location else ""
                body = ReceivedBody(response)
                with self._inbox.receive(response.status) as partial:
                    async for piece in body.pieces():
                        partial.write(piece)
                        on_progress(size := partial.size)
                        if max(size, body.received) > self._max_body:
                            refusal = describe_large(response.status, self._max_body)
                            break
                    stored = await asyncio.to_thread(partial.complete)
        except Retry as error:
            raise ResponseInterrupted(str(error), error.dependency) from error
        except NOT_SENT as error:
            raise Retry("api", error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ResponseInterrupted(f"GET /data broke off after {size:,} bytes: {_describe(error)}") from error
        return replace(stored, refusal=refusal, retry_after=self._retry_after(response))

    async def restart(self) -> None:
        try:
            async with self._get("/restart_data_generation") as response:
                body, content = ReceivedBody(response), b""
                async for piece in body.pieces():
                    content += piece
                    if max(len(content), body.received) > CHUNK_BYTES:
                        break
        except (aiohttp.ClientError, OSError) as error:
            raise Retry("api", f"restart: {_describe(error)}") from error
        if not _is_confirmed(content):
            location = _location(response)
            shown = describe_redirect(location) if location else printable(content[:MAX_SHOWN].decode(errors="replace"))
            reason = f"GET /restart_data_generation answered {response.status} {shown}"
            if seconds := self._retry_after(response):
                raise Overloaded(f"{reason}; the API asks to wait {seconds:.0f} s", seconds)
            raise Retry("api", reason)

    def _get(self, path: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The response. A redirect is one: another server's rows are not the API's, and each GET moves its cursor."""
        return self._session.get(f"{self._url}{path}", params=self._query, allow_redirects=False)

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
    url: str, group: int, inbox: Inbox, clock: Clock, max_body: int, total: float, read: float, token: str = ""
) -> AsyncIterator[HttpApi]:
    """The API at this address; no more than `max_body` bytes are stored. `total`, `read`: timeouts in seconds.

    A `token` is sent with each request. No other server gets it, since no redirect is followed.
    """
    timeout = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_SECONDS, sock_read=read)
    connector = aiohttp.TCPConnector(force_close=True)
    headers = {"Accept-Encoding": ENCODINGS, **({"Authorization": f"Bearer {token}"} if token else {})}
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, headers=headers, middlewares=[_send_once], auto_decompress=False
    ) as session:
        yield HttpApi(session, url, group, inbox, clock, max_body)


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Prevent aiohttp from repeating a GET when the server closes the connection before it responds."""
    try:
        return await send(request)
    except NOT_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError(_describe(error)) from error


class ReceivedBody:
    """The body of a response in decompressed pieces of at most CHUNK_BYTES, and how many bytes were received for it.

    aiohttp would decompress each received chunk at once, and count only what comes out.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.received = 0
        self._response = response
        self._encoding = response.headers.get("Content-Encoding", PLAIN).strip().lower()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces; some may be empty. Raises ClientPayloadError if it is not compressed as its headers say."""
        if self._encoding not in {PLAIN, *WINDOW_BITS}:
            raise aiohttp.ClientPayloadError(f"its encoding is {printable(self._encoding)}, not {ENCODINGS}")
        decompressor = None if self._encoding == PLAIN else zlib.decompressobj(WINDOW_BITS[self._encoding])
        async for chunk in self._response.content.iter_chunked(CHUNK_BYTES):
            self.received += len(chunk)
            for piece in _decompress(decompressor, chunk) if decompressor else [chunk]:
                yield piece
            if decompressor and decompressor.unused_data:
                break  # zlib would collect all that follows
        if decompressor and (not decompressor.eof or decompressor.unused_data):
            raise aiohttp.ClientPayloadError(f"it is not one complete {self._encoding} stream")


def _decompress(decompressor: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What more data become, in pieces of at most CHUNK_BYTES. Raises ClientPayloadError if they are damaged."""
    piece = bytes(CHUNK_BYTES)
    while data or len(piece) == CHUNK_BYTES:
        try:
            piece = decompressor.decompress(data, CHUNK_BYTES)
        except zlib.error as error:
            raise aiohttp.ClientPayloadError(f"its compressed data are damaged: {error}") from error
        yield piece
        data = decompressor.unconsumed_tail


def _location(response: aiohttp.ClientResponse) -> str:
    """Where a response redirects to. Empty if it does not."""
    return response.headers.get("Location", "") if response.status in REDIRECTED else ""


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
