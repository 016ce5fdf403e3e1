"""A twin of the data API that remembers every batch it handed out."""

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
LONGEST_ANSWER = 1.0
"""Seconds that an answer may take at most, once its batch is handed out."""
SPOILT_EVERY = 50
"""One row of so many is not clean."""
HELD_SECONDS = 100.0


@dataclass(frozen=True)
class Handed:
    """A batch as it was handed out, `asked` for at this time.monotonic(). Epochs count the API's beginnings, from 1."""

    epoch: int
    number: int
    rows: list[dict[str, Any]]
    asked: float = 0.0

    @property
    def place(self) -> tuple[int, int]:
        """What identifies it."""
        return self.epoch, self.number


class RememberingApi:
    """Hands out `batches` batches in all, ten to an epoch, each restart with others.

    The cursor moves with the question, whether or not the answer arrives. After the last batch of all it says the end
    for ever and confirms every restart, which then begins nothing: so the poller goes on asking, and no epoch opens.
    Until `open` is set, whoever asks for the second batch is kept waiting.
    """

    def __init__(self, batches: int, seed: int) -> None:
        self.handed: list[Handed] = []
        self.open = threading.Event()
        self._batches = batches
        self._seed = seed
        self._epoch, self._cursor = 1, 0
        self._place, self._level = 0, 1.0

    @property
    def exhausted(self) -> bool:
        """Whether the last batch of all was handed out."""
        return len(self.handed) == self._batches

    async def data(self, _request: web.Request) -> web.Response:
        """The next batch, or the end."""
        if self.exhausted or self._cursor == PER_EPOCH:
            return web.json_response({"detail": END}, status=400)
        asked = time.monotonic()  # before the rows are made: whoever asked may be killed meanwhile
        chance = random.Random(f"{self._seed}/{len(self.handed)}")  # noqa: S311 - test data, no secret
        batch = Handed(self._epoch, self._cursor, self._rows(chance), asked)
        self.handed.append(batch)
        self._cursor += 1
        await self._hold()
        await asyncio.sleep(chance.uniform(0, LONGEST_ANSWER))
        body = {"group_number": 1, "batch_number": batch.number, "data": batch.rows}
        return web.Response(body=json.dumps(body).encode(), content_type="application/json")

    async def restart(self, _request: web.Request) -> web.Response:
        """Begin again with batch 0; a second restart before the first batch changes nothing."""
        if self._cursor and not self.exhausted:
            self._epoch, self._cursor = self._epoch + 1, 0
        return web.json_response({"ok": True})

    async def _hold(self) -> None:
        waited = 0.0
        while len(self.handed) > 1 and not self.open.is_set() and waited < HELD_SECONDS:
            await asyncio.sleep(0.1)
            waited += 0.1

    def _rows(self, chance: random.Random) -> list[dict[str, Any]]:
        """About half of the batches are of the kind and the level of prices before them, so that not all drift."""
        if chance.random() < 0.25:
            self._place = chance.randrange(len(KINDS))
        if chance.random() < 0.25:
            self._level = chance.choice((0.8, 1.0, 1.02, 1.25))
        rows: list[dict[str, Any]] = [*api_rows(self._place, chance.randint(*SIZES), chance.randrange(2**32))]
        for number, row in enumerate(rows):
            row["price"] = round(row["price"] * self._level, 2)
            if number % SPOILT_EVERY == SPOILT_EVERY - 1:
                self._spoil(row, chance)
        return rows

    def _spoil(self, row: dict[str, Any], chance: random.Random) -> None:
        match chance.randrange(3):
            case 0:
                row[chance.choice(sorted(row))] = None
            case 1:
                row[chance.choice(sorted(set(row).difference(TEXTS)))] = "unknown"
            case _:
                row["price"] = 1.0
