"""A data API that records every batch that it served."""

import asyncio
import json
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from support.hostile import END
from support.listings import KINDS, TEXTS, api_rows

PER_EPOCH = 10
SIZES = (500, 5_000)
MAX_RESPONSE_SECONDS = 1.0
"""Seconds that a response takes at most."""
CORRUPT_EVERY = 50
"""One of this many rows is corrupt."""
MAX_HOLD_SECONDS = 100.0


@dataclass(frozen=True)
class ServedBatch:
    """A batch as served; `requested_at` is time.monotonic(). Epochs count from 1."""

    epoch: int
    number: int
    rows: list[dict[str, Any]]
    requested_at: float = 0.0

    @property
    def batch_id(self) -> tuple[int, int]:
        """Epoch and number."""
        return self.epoch, self.number


class RecordingApi:
    """Serves `batches` batches in total, ten per epoch, with other rows after each restart.

    The cursor moves with the request, whether or not the response arrives. After the last batch it always returns the
    end of the data and confirms every restart without effect: the poller continues to poll, and no epoch opens.
    Requests for the second batch wait until `open` is set.
    """

    def __init__(self, batches: int, seed: int) -> None:
        self.served: list[ServedBatch] = []
        self.open = threading.Event()
        self._batches = batches
        self._seed = seed
        self._epoch, self._cursor = 1, 0
        self._place, self._level = 0, 1.0

    @property
    def exhausted(self) -> bool:
        """Whether the last batch was served."""
        return len(self.served) >= self._batches

    def end(self) -> None:
        """Serve no further batch."""
        self._batches = len(self.served)

    async def data(self, _request: web.Request) -> web.Response:
        """The next batch, or the end."""
        if self.exhausted or self._cursor == PER_EPOCH:
            return web.json_response({"detail": END}, status=400)
        requested_at = time.monotonic()  # before the rows are generated: the poller may be killed meanwhile
        chance = random.Random(f"{self._seed}/{len(self.served)}")  # noqa: S311 - test data, no secret
        batch = ServedBatch(self._epoch, self._cursor, self._rows(chance), requested_at)
        self.served.append(batch)
        self._cursor += 1
        await self._hold()
        await asyncio.sleep(chance.uniform(0, MAX_RESPONSE_SECONDS))
        body = {"group_number": 1, "batch_number": batch.number, "data": batch.rows}
        return web.Response(body=json.dumps(body).encode(), content_type="application/json")

    async def restart(self, _request: web.Request) -> web.Response:
        """Restart at batch 0. A second restart before the first batch changes nothing."""
        if self._cursor and not self.exhausted:
            self._epoch, self._cursor = self._epoch + 1, 0
        return web.json_response({"ok": True})

    async def _hold(self) -> None:
        waited = 0.0
        while len(self.served) > 1 and not self.open.is_set() and waited < MAX_HOLD_SECONDS:
            await asyncio.sleep(0.1)
            waited += 0.1

    def _rows(self, chance: random.Random) -> list[dict[str, Any]]:
        """About half of the batches repeat the kind and price level of the previous one, so that not all drift."""
        if chance.random() < 0.25:
            self._place = chance.randrange(len(KINDS))
        if chance.random() < 0.25:
            self._level = chance.choice((0.8, 1.0, 1.02, 1.25))
        rows: list[dict[str, Any]] = [*api_rows(self._place, chance.randint(*SIZES), chance.randrange(2**32))]
        for number, row in enumerate(rows):
            row["price"] = round(row["price"] * self._level, 2)
            if number % CORRUPT_EVERY == CORRUPT_EVERY - 1:
                self._corrupt(row, chance)
        return rows

    def _corrupt(self, row: dict[str, Any], chance: random.Random) -> None:
        match chance.randrange(3):
            case 0:
                row[chance.choice(sorted(row))] = None
            case 1:
                row[chance.choice(sorted(set(row).difference(TEXTS)))] = "unknown"
            case _:
                row["price"] = 1.0
