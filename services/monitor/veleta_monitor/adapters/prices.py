"""Asks inference for prices over HTTP."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from veleta.errors import Retry
from veleta_monitor.adapters.services import describe

TIMEOUT = aiohttp.ClientTimeout(total=5)


class PriceClient:
    """Sends requests for the price of one row. Inference stores each, as those of other clients."""

    def __init__(self, url: str, api_key: str = "") -> None:
        """`url` is the base URL of inference."""
        self._url = f"{url}/predict"
        self._headers = {"X-API-Key": api_key} if api_key else {}

    def ask(self, row: Mapping[str, Any]) -> tuple[int, Any]:
        """The status and the JSON of the answer. Blocks for TIMEOUT at most, and raises Retry if there is none."""
        try:
            return asyncio.run(self._ask(row))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Retry("inference", describe(error, TIMEOUT)) from error

    async def _ask(self, row: Mapping[str, Any]) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.post(self._url, json=row, headers=self._headers) as response,
        ):
            return response.status, await response.json(content_type=None)
