"""The data API over HTTP. Each GET of /data moves the API's cursor, so no request is repeated here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import orjson

from veleta.errors import Retry
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.ports import ResponseInterrupted, StoredResponse

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
MAX_BODY_SHOWN = 100
NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Errors before a connection exists: the API did not get the request."""


class HttpApi:
    """`ports.Api` for one group. See `connect`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, group: int, inbox: Inbox) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._parameters = {"group_number": str(group)}
        self._inbox = inbox

    async def fetch(self, on_progress: Callable[[int], None]) -> StoredResponse:
        try:
            async with self._session.get(f"{self._url}/data", params=self._parameters) as response:
                with self._inbox.receive(response.status) as partial:
                    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                        partial.write(chunk)
                        on_progress(partial.size)
                    return await asyncio.to_thread(partial.complete)
        except NOT_SENT as error:
            raise Retry("api", error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ResponseInterrupted(_describe(error)) from error

    async def restart(self) -> None:
        try:
            async with self._session.get(f"{self._url}/restart_data_generation", params=self._parameters) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise Retry("api", f"restart: {_describe(error)}") from error
        if not _is_confirmed(body):
            shown = body[:MAX_BODY_SHOWN].decode(errors="replace")
            raise Retry("api", f"restart: HTTP {response.status} {shown}")


@asynccontextmanager
async def connect(url: str, group: int, inbox: Inbox, total: float, read: float) -> AsyncIterator[HttpApi]:
    """The API at this address. `total` and `read` are timeouts in seconds."""
    timeout = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_SECONDS, sock_read=read)
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, middlewares=[_send_once]) as session:
        yield HttpApi(session, url, group, inbox)


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Prevent aiohttp from repeating a GET when the server closes the connection before it responds."""
    try:
        return await send(request)
    except NOT_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError(_describe(error)) from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def _is_confirmed(body: bytes) -> bool:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return content == ["ok"] or (isinstance(content, dict) and content.get("ok") is True)
