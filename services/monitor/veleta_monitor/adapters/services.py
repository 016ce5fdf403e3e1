"""Reads the status of each service, and the served model, over HTTP."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from veleta_monitor.domain.stages import ServiceStatus, parse_status
from veleta_monitor.domain.versions import ServedModel, parse_model

TIMEOUT = aiohttp.ClientTimeout(total=3)


@dataclass(frozen=True)
class ServiceStatuses:
    """The status of each service. `model` is None while no version is served; `no_model_reason` explains it."""

    services: Mapping[str, ServiceStatus]
    model: ServedModel | None
    no_model_reason: str


class HttpReader:
    """Requests the status of all services concurrently. It raises nothing: a failed request is a status."""

    def __init__(self, urls: Mapping[str, str], api_key: str = "") -> None:
        """`urls` maps each service to its base URL. Only inference gets the key."""
        self._urls = urls
        self._api_key = api_key

    def read(self) -> ServiceStatuses:
        """Read everything. Blocks for TIMEOUT at most."""
        return asyncio.run(self._read())

    async def _read(self) -> ServiceStatuses:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            model = asyncio.ensure_future(_model(session, self._urls.get("inference"), self._api_key))
            statuses = await asyncio.gather(*(_status(session, url) for url in self._urls.values()))
            return ServiceStatuses(dict(zip(self._urls, statuses, strict=True)), *await model)


async def _status(session: aiohttp.ClientSession, url: str) -> ServiceStatus:
    """The status of a service. If it has replicas, that of one which is not ready, or else of any."""
    replicas = await asyncio.gather(*(_status_at(session, url, address) for address in await _addresses(url)))
    return min(replicas, key=lambda status: status.ready)


async def _addresses(url: str) -> list[str]:
    """The host and port of each replica: a name has the addresses of all. With TLS only the name is valid."""
    at = urlsplit(url)
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(at.hostname, at.port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return [at.netloc]
    is_plain = at.scheme == "http" and at.port
    return [":".join(map(str, address[:2])) for *_, address in found] if is_plain else [at.netloc]


async def _status_at(session: aiohttp.ClientSession, url: str, address: str) -> ServiceStatus:
    try:
        at = urlsplit(url)
        own_url = at._replace(netloc=address).geturl()
        return parse_status(await _json(session, f"{own_url}/readyz", {"Host": at.netloc}))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return ServiceStatus(error=describe(error))


async def _model(session: aiohttp.ClientSession, url: str | None, api_key: str) -> tuple[ServedModel | None, str]:
    if url is None:
        return None, "inference is not deployed"
    try:
        body = await _json(session, f"{url}/model", {"X-API-Key": api_key})
        return (parse_model(body), "") if "version" in body else (None, str(body.get("detail", "no version yet")))
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        return None, f"inference is unavailable: {describe(error)}"


async def _json(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object at a URL, whatever the status: errors are JSON too. Raises ValueError on other content."""
    async with session.get(url, headers=headers) as response:
        body = await response.json(content_type=None)
    if not isinstance(body, dict):
        raise ValueError(f"{url} returned no JSON object")  # noqa: TRY004 - the caller treats it as invalid JSON
    return body


def describe(error: Exception, timeout: aiohttp.ClientTimeout = TIMEOUT) -> str:
    """Why a request with this time-out has no valid response."""
    match error:
        case TimeoutError():
            return f"no response within {timeout.total:.0f} s"
        case aiohttp.ClientConnectorError():
            return "cannot connect"
        case ValueError():
            return "invalid response"
        case _:
            return f"{type(error).__name__}: {error}"
