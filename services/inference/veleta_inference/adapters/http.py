"""The routes."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import prometheus_client
from aiohttp import web
from uuid_utils import uuid7

from veleta.clock import Clock
from veleta_inference.adapters import docs, open_inference, scoring
from veleta_inference.adapters.explainer_pool import EXPLAINED_ITEMS, Explainers
from veleta_inference.adapters.guard import Guard
from veleta_inference.adapters.openapi import document
from veleta_inference.adapters.problems import problem
from veleta_inference.adapters.request_adapter import (
    BODY,
    OWN_ID,
    REQUEST_ID,
    TRACE,
    Asking,
    as_json,
    client_request_id,
    printable,
    reply,
)
from veleta_inference.domain.contributions import in_money
from veleta_inference.refusals import Refusal, Refusals

ANSWERED = prometheus_client.Histogram("veleta_http_seconds", "from receipt to answer", ["path", "status"])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def pages(
    asking: Asking, explainers: Explainers, guard: Guard, refusals: Refusals, body_limit: int, clock: Clock
) -> web.Application:
    """The service's routes; a body of more than `body_limit` bytes is not read to its end."""
    name, target = asking.dataset.name, asking.dataset.target

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Time every answer, tell every error as problem+json, keep what is refused, give the request's name back."""
        began = time.perf_counter()
        client = client_request_id(request)
        request[OWN_ID] = own = str(uuid7())
        try:
            whose = guard.enter(request)
            try:
                response = await handler(request)
            finally:
                guard.leave(whose)
        except Exception as error:  # noqa: BLE001 - `problem` knows them all, and logs the one that nobody foresaw
            told_of = problem(error)
            response = told_of.response(request.path)
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                body = request.get(BODY, b"")
                refusal = Refusal(own, client, clock(), request.path, response.status, told_of.reason, body)
                await refusals.keep(refusal)
        known = request.match_info.route.resource
        _timer(known.canonical if known else "", response.status).observe(time.perf_counter() - began)
        response.headers[REQUEST_ID] = client or own
        if trace := request.headers.get(TRACE):
            response.headers[TRACE] = printable(trace)
        return response

    async def predict(request: web.Request) -> web.Response:
        answer = await asking.predict(request)
        predictions = [{target: price} for price in answer.prices]
        model = {"name": name, "version": answer.version}
        return reply(answer, {"request_id": answer.request_id, "model": model, "predictions": predictions})

    async def explain(request: web.Request) -> web.Response:
        answer = await asking.predict(request, EXPLAINED_ITEMS)
        names, found = await explainers.shares(answer.served, answer.asked.rows)
        told = [_explained(target, price, names, shares) for price, shares in zip(answer.prices, found, strict=True)]
        model = {"name": name, "version": answer.version}
        return reply(answer, {"request_id": answer.request_id, "model": model, "explanations": told})

    async def model(_request: web.Request) -> web.Response:
        return as_json(asking.predicting.model())

    async def history(_request: web.Request) -> web.Response:
        return as_json(asking.predicting.history())

    app = web.Application(client_max_size=body_limit, middlewares=[told])
    app.add_routes(
        [
            web.post("/predict", predict),
            web.post("/explain", explain),
            web.get("/model", model),
            web.get("/models/history", history),
        ]
    )
    app.add_routes([*scoring.routes(asking), *open_inference.routes(asking)])
    app.add_routes(docs.routes(document(asking.dataset, asking.items_limit)))
    return app


def _explained(target: str, price: float, names: Sequence[str], shares: Sequence[float]) -> dict[str, Any]:
    base, added = in_money(price, shares)
    return {target: price, "base": base, "contributions": dict(zip(names, added, strict=True))}


@cache
def _timer(path: str, status: int) -> prometheus_client.Histogram:
    """One of the histogram's children; there are as many as routes and statuses."""
    return ANSWERED.labels(path, status)
