"""Errors as problem+json.

https://www.rfc-editor.org/rfc/rfc9457
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from aiohttp import web

from veleta.errors import Reject, Retry
from veleta_inference.adapters.bodies import BodyTimeout
from veleta_inference.adapters.guard import TooManyRequests, Unauthorized
from veleta_inference.adapters.request_adapter import json_response
from veleta_inference.domain import responses
from veleta_inference.domain.errors import InvalidRequest, UnreadableBody, ValidationProblem
from veleta_inference.handlers import VersionNotServed

log = structlog.get_logger()
CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "2"}
"""Seconds after which a client may repeat its request."""


@dataclass(frozen=True)
class Problem:
    """The response to a request that failed."""

    status: HTTPStatus
    detail: str
    errors: Sequence[ValidationProblem] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """All errors in one line, or else the detail."""
        return "; ".join(f"{error.field or 'item'} {error.message}" for error in self.errors) or self.detail

    def response(self, path: str) -> web.Response:
        """The HTTP response. Clients of the Open Inference Protocol read the reason in `error`."""
        title, errors = self.status.phrase, list(self.errors)
        body = responses.Problem(type="about:blank", title=title, status=self.status, detail=self.detail, errors=errors)
        if path.startswith("/v2/"):
            body["error"] = self.reason
        return json_response(body, self.status, CONTENT_TYPE, self.headers)


def problem(error: Exception) -> Problem:  # noqa: PLR0911 - a line for each kind of error
    """The problem that an error becomes. An unexpected error is logged, and not shown to the client."""
    match error:
        case InvalidRequest():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail, error.problems)
        case UnreadableBody():
            return Problem(HTTPStatus.BAD_REQUEST, str(error))
        case Unauthorized():
            return Problem(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": "Bearer"})
        case TooManyRequests():
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers=RETRY_AFTER)
        case BodyTimeout():
            return Problem(HTTPStatus.REQUEST_TIMEOUT, str(error))
        case VersionNotServed():
            return Problem(HTTPStatus.NOT_FOUND, str(error))
        case Reject():
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        case Retry():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=RETRY_AFTER)
        case web.HTTPException():
            return _http_problem(error)
    log.error("request failed", exc_info=error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; the service's log has the details")


def _http_problem(error: web.HTTPException) -> Problem:
    """The problem of an error that aiohttp finds, such as a wrong path."""
    detail = error.text or ""
    headers = {name: error.headers[name] for name in ("Allow", "Accept-Encoding") if name in error.headers}
    if isinstance(error, web.HTTPMethodNotAllowed):
        methods = " or ".join(sorted(error.allowed_methods - {"HEAD"}))
        detail = f"{error.method} is not possible on this path: use {methods} (/docs has examples)"
    elif isinstance(error, web.HTTPNotFound):
        detail = "there is no such path: /docs shows all paths"
    return Problem(HTTPStatus(error.status), detail, headers=headers)
