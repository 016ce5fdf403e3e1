"""How errors are told: problem+json.

https://www.rfc-editor.org/rfc/rfc9457
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus

import structlog
from aiohttp import web

from veleta.errors import Reject, Retry
from veleta_inference.adapters.guard import TooMany, Unknown
from veleta_inference.adapters.request_adapter import TooSlow, as_json
from veleta_inference.domain.requests import Fault, Invalid, Unreadable
from veleta_inference.handlers import NotServed

log = structlog.get_logger()
CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
AGAIN = {"Retry-After": str(RETRY_AFTER_SECONDS)}


@dataclass(frozen=True)
class Problem:
    """What a client is told of an error."""

    status: HTTPStatus
    detail: str
    errors: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """The problem in a line: its faults, or else its detail."""
        return "; ".join(f"{fault.field or 'item'} {fault.message}" for fault in self.errors) or self.detail

    def response(self, path: str) -> web.Response:
        """The answer to a request of `path`; clients of the Open Inference Protocol read it in `error`."""
        body = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status,
            "detail": self.detail,
            "errors": [asdict(fault) for fault in self.errors],
        }
        theirs = {"error": self.reason} if path.startswith("/v2/") else {}
        response = as_json(body | theirs, self.status, CONTENT_TYPE)
        response.headers.update(self.headers)
        return response


def problem(error: Exception) -> Problem:  # noqa: PLR0911 - a line for each kind of error
    """What is told of an error; one that nobody foresaw is logged, and not told."""
    match error:
        case Invalid():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail, error.faults)
        case Unreadable():
            return Problem(HTTPStatus.BAD_REQUEST, str(error))
        case Unknown():
            return Problem(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": "Bearer"})
        case TooMany():
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers=AGAIN)
        case TooSlow():
            return Problem(HTTPStatus.REQUEST_TIMEOUT, str(error))
        case NotServed():
            return Problem(HTTPStatus.NOT_FOUND, str(error))
        case Reject():
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        case Retry():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=AGAIN)
        case web.HTTPException():
            allow = {name: value for name, value in error.headers.items() if name == "Allow"}
            return Problem(HTTPStatus(error.status), error.text or "", headers=allow)
    log.error("failed", exc_info=error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "nobody foresaw this error; the service's log has it")
