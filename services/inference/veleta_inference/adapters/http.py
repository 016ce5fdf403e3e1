"""The application: its routes, and the middleware that every request passes."""

import time
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

import prometheus_client
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from uuid_utils import uuid7

from veleta.clock import Clock
from veleta.contributions import market_title, price_contributions
from veleta_inference.adapters import docs, open_inference, scoring
from veleta_inference.adapters.bodies import BODY
from veleta_inference.adapters.explainer_pool import MAX_EXPLAINED_ITEMS, ExplainerPool
from veleta_inference.adapters.guard import KEY_NAME, Guard
from veleta_inference.adapters.keyed_answers import IDEMPOTENCY_KEY, KeyedAnswers
from veleta_inference.adapters.openapi import document
from veleta_inference.adapters.problems import Problem, problem
from veleta_inference.adapters.request_adapter import (
    GENERATED_ID,
    REQUEST_ID,
    TRACE,
    RequestAdapter,
    as_item,
    client_request_id,
    json_response,
    market_fields,
    price_response,
    printable,
)
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.interval_predictor import Prediction
from veleta_inference.domain.requests import RequestReader
from veleta_inference.domain.served_market import PriceLevel
from veleta_inference.handlers import PredictionResponse
from veleta_inference.refusals import Refusal, Refusals

REQUEST_SECONDS = prometheus_client.Histogram(
    "veleta_http_request_duration_seconds", "from the receipt of a request to its response", ["path", "status"]
)
R = TypeVar("R", bound=web.StreamResponse)


def application(
    adapter: RequestAdapter,
    answers: KeyedAnswers,
    explainers: ExplainerPool,
    guard: Guard,
    refusals: Refusals,
    body_limit: int,
    clock: Clock,
) -> web.Application:
    """The application. A body of more than `body_limit` bytes is not read to its end."""
    dataset = adapter.dataset
    few_items = RequestReader(dataset, min(MAX_EXPLAINED_ITEMS, adapter.reader.limit))

    async def predict(request: web.Request) -> web.Response:
        response = await adapter.predict(request, adapter.reader.read)
        items = [as_item(dataset.target, prediction) for prediction in response.predictions]
        predictions = _with_warnings(items, response.warnings)
        return price_response(response, {**_common(response), "predictions": predictions})

    async def explain(request: web.Request) -> web.Response:
        response = await adapter.predict(request, few_items.read)
        names, shap_values = await explainers.shap_values(response.model, response.request.rows)
        pairs = zip(response.predictions, shap_values, strict=True)
        plain = [_explanation(dataset.target, each, names, values, response.level) for each, values in pairs]
        explanations = _with_warnings(plain, response.warnings)
        return price_response(response, {**_common(response), "explanations": explanations})

    async def model(_request: web.Request) -> web.Response:
        return json_response(adapter.service.model())

    async def history(_request: web.Request) -> web.Response:
        return json_response(adapter.service.history())

    def _common(response: PredictionResponse) -> dict[str, Any]:
        model = {"name": dataset.name, "version": response.model.version}
        return {"request_id": response.request.request_id, "model": model, **market_fields(response.level)}

    app = web.Application(client_max_size=body_limit, middlewares=[_error_middleware(guard, answers, refusals, clock)])
    app.add_routes([web.post("/predict", predict), web.post("/explain", explain)])
    app.add_routes([web.get("/model", model), web.get("/models/history", history)])
    app.add_routes([*scoring.routes(adapter), *open_inference.routes(adapter)])
    app.add_routes(docs.routes(document(dataset, adapter.reader.limit)))
    return app


def _error_middleware(guard: Guard, answers: KeyedAnswers, refusals: Refusals, clock: Clock) -> Middleware:
    """Turn errors into problems, store refusals, measure the duration, and send the request's id back."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        client_id = client_request_id(request)
        request[GENERATED_ID] = generated_id = str(uuid7())
        try:
            client = guard.enter(request)
            try:
                if IDEMPOTENCY_KEY in request.headers and request.method == "POST":
                    response = await answers.respond(request, handler)
                else:
                    response = await handler(request)
            finally:
                guard.leave(client)
        except Exception as error:  # noqa: BLE001 - `problem` handles them all, and logs an unexpected one
            failure = problem(error)
            response = failure.response(request.path)
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                body, now = request.get(BODY, b""), clock()
                sender = request.get(KEY_NAME), request.remote
                refusal = Refusal(
                    generated_id, client_id, *sender, now, request.path, response.status, failure.reason, body
                )
                await refusals.store(refusal)
        resource = request.match_info.route.resource
        _histogram(resource.canonical if resource else "", response.status).observe(time.perf_counter() - started)
        return _with_headers(response, request, client_id or generated_id)

    return middleware


def forbidden(request: web.Request, reason: str) -> web.Response:
    """The response to a request of another origin. It is not stored: a page must not fill the table of refusals."""
    response = Problem(HTTPStatus.FORBIDDEN, reason).response(request.path)
    return _with_headers(response, request, client_request_id(request) or str(uuid7()))


def _with_headers(response: R, request: web.Request, request_id: str) -> R:
    response.headers[REQUEST_ID] = request_id
    if trace := request.headers.get(TRACE):
        response.headers[TRACE] = printable(trace)
    return response


def _explanation(
    target: str, prediction: Prediction, names: Sequence[str], shap_values: Sequence[float], level: PriceLevel | None
) -> dict[str, Any]:
    if level:
        names, shap_values = [*names, market_title(level.since)], [*shap_values, level.value]
    base, contributions = price_contributions(prediction.value, shap_values)
    contributed = {"base": base, "contributions": dict(zip(names, contributions, strict=True))}
    return {**as_item(target, prediction), **contributed}


def _with_warnings(items: list[dict[str, Any]], warnings: Sequence[ValidationProblem]) -> list[dict[str, Any]]:
    """The items of a response, in place, with `warnings` on those that have some."""
    for warning in warnings:
        items[warning.item].setdefault("warnings", []).append({"field": warning.field, "message": warning.message})
    return items


@cache
def _histogram(path: str, status: int) -> prometheus_client.Histogram:
    """The child of the histogram with these labels. A look-up in this cache is faster than `labels`."""
    return REQUEST_SECONDS.labels(path, status)
