"""The data API over HTTP. Each GET of /data moves its cursor, so nothing here asks twice."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
import orjson

from veleta.errors import Retry
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.domain.state import Body
from veleta_poller.handlers import Interrupted

PIECE_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
SHOWN = 100
UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""The connection could not be made: nothing was asked."""


class HttpApi:
    """`handlers.Api` at one address, for one group. An async context manager."""

    def __init__(self, url: str, group: int, inbox: Inbox, total_timeout: float, read_timeout: float) -> None:
        self._url = url.rstrip("/")
        self._parameters = {"group_number": str(group)}
        self._inbox = inbox
        self._timeout = aiohttp.ClientTimeout(total=total_timeout, sock_connect=CONNECT_SECONDS, sock_read=read_timeout)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout, connector=aiohttp.TCPConnector(force_close=True), middlewares=[_once]
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def take(self, arrived: Callable[[int], None]) -> Body:
        """See `handlers.Api.take`."""
        try:
            async with self._session.get(f"{self._url}/data", params=self._parameters) as answer:
                with self._inbox.part(answer.status) as part:
                    async for piece in answer.content.iter_chunked(PIECE_BYTES):
                        part.write(piece)
                        arrived(part.size)
                    return await asyncio.to_thread(part.whole)
        except UNSENT as error:
            raise Retry("api", error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Interrupted(f"{type(error).__name__} {error}".strip()) from error

    async def restart(self) -> None:
        """See `handlers.Api.restart`."""
        try:
            async with self._session.get(f"{self._url}/restart_data_generation", params=self._parameters) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            raise Retry("api", f"restart: {type(error).__name__} {error}".strip()) from error
        if not _confirmed(body):
            raise Retry("api", f"restart: HTTP {answer.status} {body[:SHOWN].decode(errors='replace')}")


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a GET again when the server hangs up before it answers; this one must not be."""
    try:
        return await send(request)
    except UNSENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError(f"{type(error).__name__} {error}".strip()) from error


def _confirmed(body: bytes) -> bool:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return answer == ["ok"] or (isinstance(answer, dict) and answer.get("ok") is True)
