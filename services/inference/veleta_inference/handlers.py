"""What inference does with a request."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import prometheus_client
from msgspec import Struct

from veleta.clock import Clock, for_sql
from veleta.dataset import Dataset, Values
from veleta.errors import Reject, Retry
from veleta.faults import fault_point
from veleta.service.health import ServiceHealth
from veleta_inference.domain.promotions import Promotion, Served
from veleta_inference.ports import Keeper, Serving

GROUP = prometheus_client.Histogram(
    "veleta_group_requests", "requests that were answered together", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
OK = 200
STILL_TURNS = 4
"""So many turns of the loop without another request end a group: all that has arrived is in it."""
ROWS_AT_ONCE = 64
"""More rows than these are predicted in a thread, so that nothing else waits for them."""
OF_REQUEST = (
    "request_id", "client_request_id", "received_at", "answered_at", "model_version", "latency_ms", "http_status",
)  # fmt: skip
"""What the journal's line of a request says of the request as a whole; the rest stands in its `items`."""


class NotServed(Reject):
    """A request names a version, and another one is served."""


class Asked(Struct, frozen=True):
    """A request that was understood. `client_request_id` is the client's own name for it, if it gave one."""

    request_id: str
    rows: Sequence[Values]
    client_request_id: str | None
    received_at: datetime
    version: int | None = None
    """The only version that may answer it."""


class Answer(Struct, frozen=True):
    """Prices, in the order of the request's rows, and what gave them."""

    asked: Asked
    served: Served
    prices: Sequence[float]

    @property
    def request_id(self) -> str:
        """The request's id."""
        return self.asked.request_id

    @property
    def version(self) -> int:
        """The version that gave the prices."""
        return self.served.version


class Waiting(Struct, frozen=True, eq=False):
    """A request that waits; `told` is done when it is answered, or says why it is not."""

    asked: Asked
    told: asyncio.Future[Answer]


class Predicted(Struct, frozen=True):
    """A request that has its prices and is not yet kept; `line` is what is to be kept of it."""

    waiting: Waiting
    answer: Answer
    line: bytes


class Predicting:
    """Answers requests for predictions, each by one version of the model, once they are safe in the journal.

    One task (`work`) predicts together, and keeps together, all that came while it was busy with those before.
    """

    def __init__(
        self,
        dataset: Dataset,
        champion: Serving,
        journal: Keeper,
        health: ServiceHealth,
        clock: Clock,
        limit: int,
        recent: deque[Values],
    ) -> None:
        """`limit` requests may be under way; into `recent` goes one row of each group."""
        self._dataset = dataset
        self._champion = champion
        self._journal = journal
        self._health = health
        self._clock = clock
        self._limit = limit
        self._recent = recent
        self._under_way = 0
        self._waiting: list[Waiting] = []
        self._news = asyncio.Event()

    async def answer(self, asked: Asked) -> Answer:
        """The prices, after the request is in the journal.

        Raises:
            NotServed: the version that it asks for is not the one that is served.
            Retry: there is no model yet, too many requests wait, or the request could not be kept; the caller may ask
                again.
        """
        if self._under_way >= self._limit:
            raise Retry("inference", f"{self._limit} requests wait to be answered")
        waiting = Waiting(asked, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._news.set()
        self._under_way += 1
        try:
            return await waiting.told
        finally:
            self._under_way -= 1

    async def work(self) -> None:
        """Answer what comes, for ever."""
        while True:
            await self._news.wait()
            await self._gathered()
            self._news.clear()
            group, self._waiting = self._waiting, []
            GROUP.observe(len(group))
            self._recent.append(group[0].asked.rows[0])
            if predicted := await self._predicted(group):
                await self._keep(predicted)

    async def _gathered(self) -> None:
        """Let those requests in whose bytes are there already: as long as each turn of the loop brings more of them."""
        seen, still = 0, 0
        while still < STILL_TURNS:
            still = 0 if len(self._waiting) > seen else still + 1
            seen = len(self._waiting)
            await asyncio.sleep(0)

    def model(self) -> dict[str, Any]:
        """What is served, since when and why. Raises Retry while there is none."""
        served = self._champion.served
        return {"name": self._dataset.name, **_told(served.promotion), "loaded_at": served.loaded_at}

    def history(self) -> dict[str, Any]:
        """The promotions that this process knows of, the newest first; `serving` is the number of the served one."""
        serving = None
        with contextlib.suppress(Retry):
            serving = self._champion.served.promotion.seq
        promotions = [_told(each) for each in self._champion.known()]
        return {"name": self._dataset.name, "serving": serving, "promotions": promotions}

    async def _predicted(self, group: Sequence[Waiting]) -> list[Predicted]:
        """The prices of a group; if that fails for another reason than what is away, those of each of it alone."""
        try:
            return await self._prices(group)
        except Retry as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - whatever one request makes the model do, the others are answered
            if len(group) > 1:
                return [found for each in group for found in await self._predicted([each])]
            _fail(group, error)
        return []

    async def _prices(self, group: Sequence[Waiting]) -> list[Predicted]:
        """The prices of one version for those whom it may answer."""
        served = self._champion.served
        group = _meant_for(served.version, group)
        rows = [row for each in group for row in each.asked.rows]
        many = len(rows) > ROWS_AT_ONCE
        prices = iter(await asyncio.to_thread(served.predictor.prices, rows) if many else served.predictor.prices(rows))
        fault_point("inference.predicted")
        answers = [Answer(each.asked, served, [next(prices) for _ in each.asked.rows]) for each in group]
        now = self._clock()
        at = for_sql(now)
        return [Predicted(each, answer, _line(answer, now, at)) for each, answer in zip(group, answers, strict=True)]

    async def _keep(self, group: Sequence[Predicted]) -> None:
        """Answer a group as soon as it is safe."""
        try:
            await self._journal.keep([each.line for each in group])
        except Exception as error:  # noqa: BLE001 - nobody is told a price that is not kept, and those who come next wait for this
            if isinstance(error, Retry):
                self._health.set_unavailable("journal", str(error))
            _fail([each.waiting for each in group], error)
            return
        self._health.set_available("journal")
        fault_point("inference.kept")
        for each in group:
            if not each.waiting.told.done():
                each.waiting.told.set_result(each.answer)


def _line(answer: Answer, now: datetime, at: datetime) -> bytes:
    """A request as the journal keeps it; `at` is `now` for SQL.

    Latency is that of the prediction, before it waits to be kept.
    """
    asked = answer.asked
    return orjson.dumps(
        {
            "request_id": asked.request_id,
            "client_request_id": asked.client_request_id,
            "received_at": for_sql(asked.received_at),
            "answered_at": at,
            "model_version": answer.version,
            "latency_ms": (now - asked.received_at).total_seconds() * 1000,
            "http_status": OK,
            "items": [{**row, "prediction": price} for row, price in zip(asked.rows, answer.prices, strict=True)],
        }
    )


def _told(promotion: Promotion) -> dict[str, Any]:
    return {
        "version": promotion.version.number,
        "run_id": promotion.version.run_id,
        "promoted_at": promotion.promoted_at,
        "promotion_seq": promotion.seq,
        "metrics": promotion.metrics,
        "causes": promotion.causes,
    }


def _meant_for(version: int, group: Sequence[Waiting]) -> Sequence[Waiting]:
    """Those of a group that this version may answer; the others are told so."""
    others = [each for each in group if each.asked.version not in (None, version)]
    _fail(others, NotServed(f"version {version} is served"))
    return [each for each in group if each not in others] if others else group


def _fail(group: Sequence[Waiting], error: Exception) -> None:
    for each in group:
        if not each.told.done():
            each.told.set_exception(error)
