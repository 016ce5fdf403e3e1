"""What the services say of themselves over HTTP."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from veleta_monitor.domain.stages import Health, health
from veleta_monitor.domain.versions import Served, served

TIMEOUT = aiohttp.ClientTimeout(total=3)


@dataclass(frozen=True)
class Voices:
    """What each service said; `served` is None while there is no version to answer with, and `unserved` says why."""

    healths: Mapping[str, Health]
    served: Served | None
    unserved: str


class HttpReader:
    """Asks all services at once. It raises nothing: a service that is away is a health of its own."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        """`urls`: the services' base URLs by their names."""
        self._urls = urls

    def look(self) -> Voices:
        """All of it. Blocks for the time limit at most."""
        return asyncio.run(self._look())

    async def _look(self) -> Voices:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            model = asyncio.ensure_future(_model(session, self._urls.get("inference")))
            said = await asyncio.gather(*(_health(session, url) for url in self._urls.values()))
            return Voices(dict(zip(self._urls, said, strict=True)), *await model)


async def _health(session: aiohttp.ClientSession, url: str) -> Health:
    try:
        return health(await _json(session, f"{url}/readyz"))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return Health(trouble=_words(error))


async def _model(session: aiohttp.ClientSession, url: str | None) -> tuple[Served | None, str]:
    if url is None:
        return None, "this deployment has no inference"
    try:
        body = await _json(session, f"{url}/model")
        return (served(body), "") if "version" in body else (None, str(body.get("detail", "no version yet")))
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        return None, f"inference does not answer: {_words(error)}"


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """The object at this address, whatever the status: problems are told as JSON too. Raises ValueError on others."""
    async with session.get(url) as response:
        body = await response.json(content_type=None)
    if not isinstance(body, dict):
        raise ValueError(f"{url} answers no JSON object")  # noqa: TRY004 - the caller treats it as unreadable JSON
    return body


def _words(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {TIMEOUT.total:.0f} s"
        case aiohttp.ClientConnectorError():
            return "nobody listens there"
        case ValueError():
            return "what it answers cannot be read"
        case _:
            return f"{type(error).__name__}: {error}"
