"""Turns HTTP requests of any protocol into prediction requests, and their responses into JSON."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from veleta.clock import Clock
from veleta.dataset import Values
from veleta.tables import MAX_CLIENT_REQUEST_ID
from veleta_inference.adapters.bodies import BODY, BodyReader
from veleta_inference.adapters.guard import KEY_NAME
from veleta_inference.domain.forms import Form
from veleta_inference.domain.interval_predictor import Prediction
from veleta_inference.domain.requests import RequestReader, take_as_of
from veleta_inference.domain.served_market import PriceLevel
from veleta_inference.handlers import MAX_GROUP_ROWS, PredictionRequest, PredictionResponse, PredictionService

REQUEST_ID = "X-Request-ID"
TRACE = "traceparent"
MODEL_VERSION = "X-Model-Version"
GENERATED_ID = web.RequestKey("generated_id", str)
"""The id of a request whose client sent none. These ids increase with time."""
KEYED_ID = web.RequestKey("keyed_id", str)
"""The id of a request with an Idempotency-Key."""
DAY = web.RequestKey("day", object)
"""The day whose prices a request asks for in its parameters, as it was sent."""
PREDICTED = web.RequestKey("predicted", PredictionResponse)
"""The prices of a request."""
API_VERSION = "0.1.0"
NO_INTERVAL = "the model was calibrated on too few rows, or by an earlier release"


class RequestAdapter:
    """What all protocols share: reads the body and calls the prediction service."""

    def __init__(self, service: PredictionService, reader: RequestReader, clock: Clock, body_seconds: float) -> None:
        self.service = service
        self.reader = reader
        self.dataset = reader.dataset
        self._clock = clock
        self._bodies = BodyReader(body_seconds, self._require_capacity)

    async def predict(
        self, request: web.Request, read: Callable[[bytes], list[Values]], version: int | None = None
    ) -> PredictionResponse:
        """The response to a body that `read` turns into typed rows, by this version only if one is given."""
        received_at = self._clock()
        if (keyed_id := request.get(KEYED_ID)) is None:
            rows = await self._bodies.read(request, read)
        else:
            rows = read(request[BODY])
        as_of = take_as_of(rows) if self.dataset.market else None
        as_of = request.get(DAY) if as_of is None else as_of
        request_id, client_id = keyed_id or request[GENERATED_ID], client_request_id(request)
        sender = request.get(KEY_NAME), request.remote
        prediction = PredictionRequest(
            request_id, rows, client_id, *sender, received_at, version, journaled=keyed_id is None, as_of=as_of
        )
        request[PREDICTED] = response = await self.service.predict(prediction)
        return response

    async def predict_rows(
        self, request: web.Request, form: Form, rows: Callable[[object], object], version: int | None = None
    ) -> PredictionResponse:
        """As `predict`, of a body in another protocol, which `rows` turns into untyped rows."""
        return await self.predict(request, lambda body: self.reader.read_form(body, form, rows), version)

    async def read_body(self, request: web.Request) -> bytes:
        """The body of a request. See `BodyReader.read`; BODY is the body."""
        return await self._bodies.read(request, bytes)

    def _require_capacity(self) -> None:
        """Check that a request with many rows may be in flight too. Raises Retry."""
        self.service.require_capacity(min(self.reader.limit, MAX_GROUP_ROWS))


def price_response(
    response: PredictionResponse, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    """A response with prices, in the form of its protocol. A header names the version."""
    return json_response(body, headers={MODEL_VERSION: str(response.model.version), **(headers or {})})


def market_fields(level: PriceLevel | None) -> dict[str, Any]:
    """The day and the level of a response's prices. Nothing without a market."""
    return {"as_of": level.as_of, "market": {"factor": level.factor, "since": level.since}} if level else {}


def as_item(target: str, prediction: Prediction) -> dict[str, Any]:
    """A prediction as an item of a response, or why it has no interval."""
    price, low, high, _ = prediction
    item = {target: price, "low": low, "high": high, "coverage": prediction.coverage}
    return item if low is not None else {**item, "no_interval": NO_INTERVAL}


def json_response(
    body: Mapping[str, Any],
    status: int = HTTPStatus.OK,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A response in JSON."""
    return web.Response(body=orjson.dumps(body), status=status, content_type=content_type, headers=headers)


def client_request_id(request: web.Request) -> str | None:
    """The id that the client gave its request: its printable ASCII characters, cut to MAX_CLIENT_REQUEST_ID."""
    sent = request.headers.get(REQUEST_ID)
    return (printable(sent)[:MAX_CLIENT_REQUEST_ID] or None) if sent else None


def printable(header: str) -> str:
    """The printable ASCII characters of a header, which can be sent back."""
    return "".join(c for c in header if " " <= c <= "~")
