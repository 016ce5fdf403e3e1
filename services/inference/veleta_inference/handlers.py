"""Predicts prices, and stores each request before its response."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import accumulate
from typing import Any

import orjson
import prometheus_client
from msgspec import Struct, field, structs

from veleta.clock import Clock, for_sql
from veleta.dataset import Dataset, Values
from veleta.errors import Reject, Retry
from veleta.faults import fault_point
from veleta.service.health import ServiceHealth
from veleta_inference.domain.errors import MAX_PROBLEMS, InvalidRequest, ValidationProblem
from veleta_inference.domain.interval_predictor import Prediction
from veleta_inference.domain.promotions import LoadedModel, Promotion
from veleta_inference.domain.responses import History, Model, PromotionDetails
from veleta_inference.domain.served_market import AS_OF, PriceLevel
from veleta_inference.ports import JournalWriter, ModelProvider

GROUP_REQUESTS = prometheus_client.Histogram(
    "veleta_prediction_group_requests", "requests that were predicted together", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
EXPECTED_ERROR = prometheus_client.Gauge(
    "veleta_expected_error",
    "the expected error of the logarithm of the last 1,000 predicted prices, of the worker that updated it last; "
    "NaN: there is no estimate",
    multiprocess_mode="livemostrecent",
)
OUTSIDE = prometheus_client.Gauge(
    "veleta_rows_outside_learnt",
    "the share of the last 1,000 predicted rows with a value that was not learnt; NaN: there are fewer than 100",
    multiprocess_mode="livemostrecent",
)
OK = 200
WAKE_SECONDS = 10.0
"""The pause between two groups of an idle service."""
IDLE_TURNS = 4
"""A group is complete after this many turns of the event loop without another request."""
MAX_INLINE_ROWS = 64
"""More rows than this are predicted in a thread, so that the event loop is not blocked."""
MAX_ROWS = 20_000
"""The rows in flight in one process. It bounds the memory: a row needs about 5 KB until its request is answered."""
RESERVED_ROWS = 1_000
"""How many of them are for requests with at most MAX_INLINE_ROWS rows, so that large ones do not keep these out."""
MAX_GROUP_ROWS = 500
"""The rows of a group in addition to its oldest request. It bounds how long the next group waits."""
STRICT_REFUSAL = "a value is outside what the model has learnt, and STRICT=1 refuses it: see `errors`"
NO_INTERVALS = "the served version has no intervals: it was calibrated on too few rows, or by an earlier release"
REQUEST_FIELDS = (
    "request_id", "client_request_id", "received_at", "answered_at", "model_version", "latency_ms", "http_status",
    "key_name", "client_address",
)  # fmt: skip
"""The fields of a journal line that describe the request as a whole. Its `items` contain the rest."""
MARKET_FIELDS = (AS_OF, "market_level", "level_seq")
"""Those of a dataset with a market in addition. Earlier lines do not have them."""


class VersionNotServed(Reject):
    """A request requires a version that is not the served one."""


class PredictionRequest(Struct, frozen=True):
    """A valid request. `client_request_id` is the id that the client gave it, if any.

    `key_name` is the name of the API key that it was sent with, if keys are required. `client_address` is where it came
    from: behind a proxy, the proxy's address.
    """

    request_id: str
    rows: Sequence[Values]
    client_request_id: str | None
    key_name: str | None
    client_address: str | None
    received_at: datetime
    version: int | None = None
    """The only version that may predict, if the request names one."""
    began: float = field(default_factory=time.monotonic)
    """When its prediction began, in seconds of the monotonic clock: the wall clock may jump."""
    journaled: bool = True
    """Whether the journal stores it. Otherwise the caller stores it, before its client gets the response."""
    as_of: object = None
    """The day whose prices it asks for, as it was sent. None: the newest day of the market."""


class PredictionResponse(Struct, frozen=True):
    """The predictions of a request's rows, in their order, and the model that made them."""

    request: PredictionRequest
    model: LoadedModel
    predictions: Sequence[Prediction]
    unusual: Sequence[ValidationProblem] = ()
    """Values that the model has not learnt, or that are outside the bounds of the dataset file."""
    warnings: Sequence[ValidationProblem] = ()
    """Those, and the fields that were not given."""
    level: PriceLevel | None = None
    """The level of the market that the prices are at. None without a market."""
    line: bytes = b""
    """The request with its prices as a line for the table, if the journal does not store it."""

    @property
    def prices(self) -> list[float]:
        """The prices alone."""
        return [prediction.value for prediction in self.predictions]


class PendingRequest(Struct, frozen=True, eq=False):
    """A request without a response. `future` gets the response, or the error."""

    request: PredictionRequest
    future: asyncio.Future[PredictionResponse]


class PredictedRequest(Struct, frozen=True):
    """A request whose prices are not yet stored. `line` is its line for the journal."""

    pending: PendingRequest
    response: PredictionResponse
    line: bytes


class PredictionService:
    """Predicts the prices of requests. A response is returned after its request is durable in the journal.

    `run`, one task, predicts and stores all requests together that arrived while it handled the group before.
    """

    def __init__(
        self,
        dataset: Dataset,
        provider: ModelProvider,
        journal: JournalWriter,
        health: ServiceHealth,
        clock: Clock,
        limit: int,
        recent_rows: deque[Values],
        *,
        strict: bool = False,
    ) -> None:
        """At most `limit` requests, with MAX_ROWS rows, may be in flight.

        One row of each group is appended to `recent_rows`.

        With `strict`, requests with unusual values (see `ValueChecks`) are refused; otherwise they get warnings.
        """
        self._dataset = dataset
        self._provider = provider
        self._journal = journal
        self._health = health
        self._clock = clock
        self._limit = limit
        self._recent_rows = recent_rows
        self._strict = strict
        self._in_flight = 0
        self._rows_in_flight = 0
        self._pending: list[PendingRequest] = []
        self._arrived = asyncio.Event()
        self._reported: tuple[float | None, float | None] | None = None

    async def predict(self, request: PredictionRequest) -> PredictionResponse:
        """Predict the prices, after the request is in the journal.

        Raises:
            VersionNotServed: the request requires another version than the served one.
            InvalidRequest: its day has no level, or, in strict mode, a value is unusual.
            Retry: there is no model yet, too much is in flight, or the request cannot be stored.
        """
        rows = len(request.rows)
        self.require_capacity(rows)
        pending = PendingRequest(request, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        self._arrived.set()
        self._in_flight += 1
        self._rows_in_flight += rows
        try:
            return await pending.future
        finally:
            self._in_flight -= 1
            self._rows_in_flight -= rows

    def require_capacity(self, rows: int) -> None:
        """Check that a request with so many rows may be in flight too. One alone may have any number.

        Raises:
            Retry: too much is in flight.
        """
        if self._in_flight >= self._limit:
            raise Retry("inference", f"{self._limit} requests are in flight")
        limit = MAX_ROWS if rows <= MAX_INLINE_ROWS else MAX_ROWS - RESERVED_ROWS
        if self._in_flight and self._rows_in_flight + rows > limit:
            raise Retry("inference", f"{self._rows_in_flight:,} rows are in flight, and {limit:,} may be")

    async def run(self) -> None:
        """Handle groups of requests until the task is cancelled."""
        while True:
            await self._arrived.wait()
            self._health.heartbeat()
            await self._collect_group()
            group = self._take_group()
            if not self._pending:
                self._arrived.clear()
            if not group:
                continue
            GROUP_REQUESTS.observe(len(group))
            self._recent_rows.append(group[0].request.rows[0])
            if predicted := await self._predict_group(group):
                await self._store_and_respond(predicted)

    async def wake(self) -> None:
        """Wake `run` regularly until the service stops: without requests it shows that it could handle one.

        The metrics of the estimate are updated then.
        """
        self.report_estimate()
        while await self._health.wait(WAKE_SECONDS):
            self.report_estimate()
            self._arrived.set()

    def report_estimate(self) -> None:
        """Set the metrics of the estimate if it has changed: those of all workers are of one that predicts."""
        found: tuple[float | None, float | None] = None, None
        with contextlib.suppress(Retry):
            window = self._provider.model.window
            found = window.estimate().get("expected_error"), window.outside
        if found == self._reported:
            return
        self._reported = found
        for gauge, value in zip((EXPECTED_ERROR, OUTSIDE), found, strict=True):
            gauge.set(math.nan if value is None else value)

    def require_intervals(self) -> None:
        """Raise InvalidRequest if the served version has no intervals, and Retry while there is none."""
        if not self._provider.model.predictor.has_intervals:
            raise InvalidRequest(NO_INTERVALS, [])

    @property
    def served_version(self) -> int:
        """The number of the served version. Raises Retry while there is none."""
        return self._provider.model.version

    def model(self) -> Model:
        """The served version, since when and why it is served. Raises Retry while there is none."""
        model = self._provider.model
        found: Model = {
            "name": self._dataset.name,
            **_details(model.promotion),  # type: ignore[typeddict-item]  # mypy misses the key that is not required
            "loaded_at": model.loaded_at,
            "interval_level": model.level,
            "estimate": model.window.estimate(),
        }
        if self._dataset.market:
            found["market"] = model.market.details() if model.market else None
        return found

    def history(self) -> History:
        """The promotions that this process knows."""
        serving = None
        with contextlib.suppress(Retry):
            serving = self._provider.model.promotion.seq
        promotions = [_details(promotion) for promotion in self._provider.promotions()]
        return {"name": self._dataset.name, "serving": serving, "promotions": promotions}

    async def _collect_group(self) -> None:
        """Wait while the turns of the event loop add requests whose bytes have already arrived, to a full group."""
        count, idle = 0, 0
        while idle < IDLE_TURNS and self._rows_in_flight <= MAX_GROUP_ROWS:
            idle = 0 if len(self._pending) > count else idle + 1
            count = len(self._pending)
            await asyncio.sleep(0)

    def _take_group(self) -> Sequence[PendingRequest]:
        """Take the oldest request and, up to MAX_GROUP_ROWS rows, the shortest others.

        So a request with few rows does not wait for many with many rows.
        """
        group, self._pending = self._pending, []
        if sum(len(pending.request.rows) for pending in group) <= MAX_GROUP_ROWS:
            return group
        shortest = sorted(group[1:], key=lambda pending: len(pending.request.rows))
        totals = accumulate(len(pending.request.rows) for pending in shortest)
        taken = {group[0], *(pending for pending, rows in zip(shortest, totals, strict=True) if rows <= MAX_GROUP_ROWS)}
        self._pending = [pending for pending in group if pending not in taken]
        return [pending for pending in group if pending in taken]

    async def _predict_group(self, group: Sequence[PendingRequest]) -> list[PredictedRequest]:
        """Predict a group. If one of its requests makes the model fail, predict each of them alone."""
        try:
            return await self._predict_together(group)
        except Retry as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - whatever one request makes the model do, the others get responses
            if len(group) > 1:
                return [predicted for pending in group for predicted in await self._predict_group([pending])]
            _fail(group, error)
        return []

    async def _predict_together(self, group: Sequence[PendingRequest]) -> list[PredictedRequest]:
        """Predict the requests of a group that accept the served version, by one call of the model."""
        model = self._provider.model
        levels = _levels(model, _accepting(model.version, group), self._clock())
        unusual = {pending: model.checks.unusual(pending.request.rows) for pending in levels}
        group = _refuse_unusual(unusual) if self._strict else list(unusual)
        if not group:
            return []
        rows = [row for pending in group for row in pending.request.rows]
        row_levels = [levels[pending] for pending in group for _ in pending.request.rows]
        predict = partial(model.predictor.predict, rows, row_levels)
        predictions = iter(await asyncio.to_thread(predict) if len(rows) > MAX_INLINE_ROWS else predict())
        fault_point("inference.predicted")
        answered_at = for_sql(self._clock())
        predicted = []
        for pending in group:
            own = [next(predictions) for _ in pending.request.rows]
            found = unusual[pending]
            warnings = model.checks.warnings(pending.request.rows, found)
            response = PredictionResponse(pending.request, model, own, found, warnings, levels[pending])
            line = _line(response, answered_at)
            if not pending.request.journaled:
                response = structs.replace(response, line=line)
            predicted.append(PredictedRequest(pending, response, line))
        return predicted

    async def _store_and_respond(self, group: Sequence[PredictedRequest]) -> None:
        """Append a group to the journal, and then return its responses."""
        lines = [predicted.line for predicted in group if predicted.pending.request.journaled]
        try:
            if lines:
                await self._journal.append(lines)
                self._health.set_available("journal")
        except Exception as error:  # noqa: BLE001 - no price is sent that is not stored, and the next group is handled
            if isinstance(error, Retry):
                self._health.set_unavailable("journal", str(error))
            _fail([predicted.pending for predicted in group], error)
            return
        fault_point("inference.stored")
        for predicted in group:
            response = predicted.response
            response.model.window.add(response.predictions, response.unusual)
            if not predicted.pending.future.done():
                predicted.pending.future.set_result(response)


def _line(response: PredictionResponse, answered_at: datetime) -> bytes:
    """The line of a request. `answered_at` is a time for SQL. The latency is that of the prediction alone."""
    request, level = response.request, response.level
    return orjson.dumps(
        {
            "request_id": request.request_id,
            "client_request_id": request.client_request_id,
            "received_at": for_sql(request.received_at),
            "answered_at": answered_at,
            "model_version": response.model.version,
            "latency_ms": (time.monotonic() - request.began) * 1000,
            "http_status": OK,
            "key_name": request.key_name,
            "client_address": request.client_address,
            **(dict(zip(MARKET_FIELDS, (level.as_of, level.value, level.seq), strict=True)) if level else {}),
            "items": [_item(*pair) for pair in zip(request.rows, response.predictions, strict=True)],
        }
    )


def _item(row: Values, prediction: Prediction) -> dict[str, Any]:
    price, low, high, _ = prediction
    return {**row, "prediction": price, "low": low, "high": high, "coverage": prediction.coverage}


def _details(promotion: Promotion) -> PromotionDetails:
    return {
        "version": promotion.version.number,
        "run_id": promotion.version.run_id,
        "promoted_at": promotion.promoted_at,
        "promotion_seq": promotion.seq,
        "metrics": promotion.metrics,
        "causes": promotion.causes,
        "reason": promotion.reason,
        "actor": promotion.actor,
    }


def _accepting(version: int, group: Sequence[PendingRequest]) -> Sequence[PendingRequest]:
    """The requests of a group that accept this version. The others fail."""
    others = [pending for pending in group if pending.request.version not in (None, version)]
    _fail(others, VersionNotServed(f"version {version} is served"))
    return [pending for pending in group if pending not in others] if others else group


def _levels(
    model: LoadedModel, group: Sequence[PendingRequest], now: datetime
) -> dict[PendingRequest, PriceLevel | None]:
    """The level of the market for each request of a group. Those that ask for a day without a level fail."""
    levels = dict[PendingRequest, PriceLevel | None]()
    for pending in group:
        try:
            levels[pending] = model.price_level(pending.request.as_of, now)
        except InvalidRequest as error:
            _fail([pending], error)
    return levels


def _refuse_unusual(unusual: Mapping[PendingRequest, Sequence[ValidationProblem]]) -> list[PendingRequest]:
    """The requests without unusual values. The others fail."""
    for pending, problems in unusual.items():
        if problems:
            _fail([pending], InvalidRequest(STRICT_REFUSAL, list(problems[:MAX_PROBLEMS])))
    return [pending for pending, problems in unusual.items() if not problems]


def _fail(group: Sequence[PendingRequest], error: Exception) -> None:
    for pending in group:
        if not pending.future.done():
            pending.future.set_exception(error)
