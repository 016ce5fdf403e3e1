"""What inference does with a request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from veleta.clock import Clock, for_sql
from veleta.dataset import Dataset, Values
from veleta.faults import fault_point
from veleta_inference.champion import Champion
from veleta_inference.domain.promotions import Served
from veleta_inference.domain.requests import parse, rows
from veleta_inference.journal import Journal, SqlRow

OK = 200


@dataclass(frozen=True)
class Asked:
    """A request as it came. `client_request_id` is the client's own name for it, if it gave one."""

    body: bytes
    client_request_id: str | None
    received_at: datetime


@dataclass(frozen=True)
class Answer:
    """Prices, in the order of the items, and the version that gave them."""

    request_id: str
    version: int
    prices: list[float]


class Predicting:
    """Answers requests for predictions, each by one version of the model, once they are written."""

    def __init__(self, dataset: Dataset, champion: Champion, journal: Journal, clock: Clock, items_limit: int) -> None:
        self._dataset = dataset
        self._champion = champion
        self._journal = journal
        self._clock = clock
        self._items_limit = items_limit

    async def answer(self, asked: Asked) -> Answer:
        """The prices, after the request is in MySQL.

        Raises:
            Unreadable, Invalid: see `domain.requests`.
            Retry: there is no model yet, or the request could not be written; the caller may ask again.
            Reject: the database refuses the request.
        """
        values = rows(self._dataset, parse(asked.body), self._items_limit)
        served = self._champion.served
        prices = served.predictor.prices(values)
        fault_point("inference.predicted")
        request_id = str(uuid4())
        await self._journal.keep(request_id, self._kept(asked, request_id, served, values, prices))
        fault_point("inference.kept")
        return Answer(request_id, served.version, prices)

    def model(self) -> dict[str, Any]:
        """What is served, since when and why. Raises Retry while there is none."""
        served = self._champion.served
        promotion = served.promotion
        return {
            "name": self._dataset.name,
            "version": served.version,
            "run_id": promotion.version.run_id,
            "promoted_at": promotion.promoted_at,
            "loaded_at": served.loaded_at,
            "promotion_seq": promotion.seq,
            "metrics": promotion.metrics,
            "causes": promotion.causes,
        }

    def _kept(
        self, asked: Asked, request_id: str, served: Served, values: list[Values], prices: list[float]
    ) -> list[SqlRow]:
        """The request's rows; latency is that of the prediction, before it waits to be written."""
        now = self._clock()
        common = {
            "request_id": request_id,
            "client_request_id": asked.client_request_id,
            "received_at": for_sql(asked.received_at),
            "answered_at": for_sql(now),
            "model_version": served.version,
            "latency_ms": (now - asked.received_at).total_seconds() * 1000,
            "http_status": OK,
        }
        asked_for = zip(values, prices, strict=True)
        return [{**row, **common, "item": i, "prediction": price} for i, (row, price) in enumerate(asked_for)]
