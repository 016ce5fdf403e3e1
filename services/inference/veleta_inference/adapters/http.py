"""The routes, and how errors are told: problem+json.

https://www.rfc-editor.org/rfc/rfc9457
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import orjson
import prometheus_client
import structlog
from aiohttp import web

from veleta.clock import Clock
from veleta.errors import Reject, Retry
from veleta_inference.domain.requests import Invalid, Unreadable
from veleta_inference.handlers import Asked, Predicting

log = structlog.get_logger()
ANSWERED = prometheus_client.Histogram("veleta_http_seconds", "from receipt to answer", ["path", "status"])

RETRY_AFTER_SECONDS = 2
LONGEST_ID = 255
"""Characters of a client's X-Request-ID that are kept."""
REQUEST_ID = "X-Request-ID"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def pages(predicting: Predicting, dataset: str, target: str, body_limit: int, clock: Clock) -> web.Application:
    """The service's routes; a body of more than `body_limit` bytes is not read to its end."""
    app = web.Application(client_max_size=body_limit, middlewares=[_observed, _problems])

    async def predict(request: web.Request) -> web.Response:
        received_at = clock()
        asked = Asked(await request.read(), client_request_id(request), received_at)
        answer = await predicting.answer(asked)
        body = {
            "request_id": answer.request_id,
            "model": {"name": dataset, "version": answer.version},
            "predictions": [{target: price} for price in answer.prices],
        }
        response = _json(body)
        response.headers["X-Model-Version"] = str(answer.version)
        return response

    async def model(_request: web.Request) -> web.Response:
        return _json(predicting.model())

    app.add_routes([web.post("/predict", predict), web.get("/model", model)])
    return app


def client_request_id(request: web.Request) -> str | None:
    """The client's name for its request: what of it is printable ASCII, cut to LONGEST_ID."""
    sent = request.headers.get(REQUEST_ID, "")
    return "".join(c for c in sent if " " <= c <= "~")[:LONGEST_ID] or None


@web.middleware
async def _observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Time every answer, and echo the client's name for its request."""
    began = time.perf_counter()
    response = await handler(request)
    known = request.match_info.route.resource
    ANSWERED.labels(known.canonical if known else "", response.status).observe(time.perf_counter() - began)
    if name := client_request_id(request):
        response.headers[REQUEST_ID] = name
    return response


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell every error as problem+json."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 - `_told` knows them all, and logs the one that nobody foresaw
        return _told(error)


def _told(error: Exception) -> web.Response:
    match error:
        case Invalid():
            answer = _problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail, [asdict(fault) for fault in error.faults])
        case Unreadable():
            answer = _problem(HTTPStatus.BAD_REQUEST, str(error))
        case Reject():
            answer = _problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        case Retry():
            answer = _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        case web.HTTPException():
            answer = _problem(HTTPStatus(error.status), error.text or "")
            answer.headers.update({name: value for name, value in error.headers.items() if name == "Allow"})
        case _:
            log.error("failed", exc_info=error)
            answer = _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "nobody foresaw this error; the service's log has it")
    return answer


def _problem(status: HTTPStatus, detail: str, errors: list[dict[str, Any]] | None = None) -> web.Response:
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "errors": errors or []}
    return _json(body, status, "application/problem+json")


def _json(body: dict[str, Any], status: int = HTTPStatus.OK, content_type: str = "application/json") -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type=content_type)
