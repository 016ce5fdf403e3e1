"""The routes, and how errors are told: problem+json.

https://www.rfc-editor.org/rfc/rfc9457
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
import prometheus_client
import structlog
from aiohttp import web
from uuid_utils import uuid7

from veleta.clock import Clock
from veleta.errors import Reject, Retry
from veleta_inference.domain.requests import Invalid, Unreadable
from veleta_inference.handlers import Asked, Predicting
from veleta_inference.refusals import Refusal, Refusals

log = structlog.get_logger()
ANSWERED = prometheus_client.Histogram("veleta_http_seconds", "from receipt to answer", ["path", "status"])

RETRY_AFTER_SECONDS = 2
LONGEST_ID = 255
"""Characters of a client's X-Request-ID that are kept."""
REQUEST_ID = "X-Request-ID"
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 36
_KEY = re.compile(f"[!-~]{{1,{LONGEST_KEY}}}")
_BODY = web.RequestKey("body", bytes)
"""What of a request's body was read."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def pages(
    predicting: Predicting, refusals: Refusals, dataset: str, target: str, body_limit: int, clock: Clock
) -> web.Application:
    """The service's routes; a body of more than `body_limit` bytes is not read to its end."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Time every answer, tell every error as problem+json, keep what is refused, echo the client's name for it."""
        began = time.perf_counter()
        name = client_request_id(request)
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - `_told` knows them all, and logs the one that nobody foresaw
            response, reason = _told(error)
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                body = request.get(_BODY, b"")
                refusal = Refusal(str(uuid7()), name, clock(), request.path, response.status, reason, body)
                await refusals.keep(refusal)
        known = request.match_info.route.resource
        _timer(known.canonical if known else "", response.status).observe(time.perf_counter() - began)
        if name:
            response.headers[REQUEST_ID] = name
        return response

    async def predict(request: web.Request) -> web.Response:
        received_at = clock()
        request[_BODY] = body = await request.read()
        answer = await predicting.answer(Asked(request_id(request), body, client_request_id(request), received_at))
        said = {
            "request_id": answer.request_id,
            "model": {"name": dataset, "version": answer.version},
            "predictions": [{target: price} for price in answer.prices],
        }
        response = _json(said)
        response.headers["X-Model-Version"] = str(answer.version)
        return response

    async def model(_request: web.Request) -> web.Response:
        return _json(predicting.model())

    async def history(_request: web.Request) -> web.Response:
        return _json(predicting.history())

    app = web.Application(client_max_size=body_limit, middlewares=[told])
    app.add_routes([web.post("/predict", predict), web.get("/model", model), web.get("/models/history", history)])
    return app


def client_request_id(request: web.Request) -> str | None:
    """The client's name for its request: what of it is printable ASCII, cut to LONGEST_ID."""
    sent = request.headers.get(REQUEST_ID)
    return ("".join(c for c in sent if " " <= c <= "~")[:LONGEST_ID] or None) if sent else None


def request_id(request: web.Request) -> str:
    """The request's name in the table: the client's Idempotency-Key, or one that grows with time.

    Raises:
        Unreadable: the key is none.
    """
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return str(uuid7())
    if not _KEY.fullmatch(key):
        raise Unreadable(IDEMPOTENCY_KEY, f"must be 1 to {LONGEST_KEY} visible ASCII characters")
    return key


@cache
def _timer(path: str, status: int) -> prometheus_client.Histogram:
    """One of the histogram's children; there are as many as routes and statuses."""
    return ANSWERED.labels(path, status)


def _told(error: Exception) -> tuple[web.Response, str]:
    """The answer to an error, and its reason in a line."""
    match error:
        case Invalid():
            faults = [asdict(fault) for fault in error.faults]
            first = "; ".join(f"{fault.field or 'item'} {fault.message}" for fault in error.faults)
            return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail, faults), first or error.detail
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
            return answer, error.text or ""
        case _:
            log.error("failed", exc_info=error)
            answer = _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "nobody foresaw this error; the service's log has it")
    return answer, str(error)


def _problem(status: HTTPStatus, detail: str, errors: list[dict[str, Any]] | None = None) -> web.Response:
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "errors": errors or []}
    return _json(body, status, "application/problem+json")


def _json(body: dict[str, Any], status: int = HTTPStatus.OK, content_type: str = "application/json") -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type=content_type)
