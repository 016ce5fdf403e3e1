"""From an HTTP request to an answer, whatever protocol it speaks."""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from veleta.clock import Clock
from veleta.dataset import Dataset, Values
from veleta.errors import Reject
from veleta.tables import MAX_CLIENT_REQUEST_ID
from veleta_inference.domain.requests import Reader, Unreadable, parse
from veleta_inference.handlers import Answer, Asked, Predicting

REQUEST_ID = "X-Request-ID"
IDEMPOTENCY_KEY = "Idempotency-Key"
TRACE = "traceparent"
MODEL_VERSION = "X-Model-Version"
LONGEST_KEY = 36
KEY_PATTERN = f"^[!-~]{{1,{LONGEST_KEY}}}$"
_KEY = re.compile(KEY_PATTERN)
OWN_ID = web.RequestKey("id", str)
"""What the request is called where its client has no name for it; it grows with time."""
API_VERSION = "0.1.0"
"""Of what this service is asked and answers."""
BODY = web.RequestKey("body", bytes)
"""What of a request's body was read."""


class TooSlow(Reject):
    """A body does not come to its end."""


class Asking:
    """What the protocols share."""

    def __init__(
        self, predicting: Predicting, reader: Reader, dataset: Dataset, clock: Clock, body_seconds: float
    ) -> None:
        self.dataset = dataset
        self.items_limit = reader.limit
        self.predicting = predicting
        self._reader = reader
        self._clock = clock
        self._body_seconds = body_seconds

    async def predict(self, request: web.Request, most: int | None = None) -> Answer:
        """The answer to a body of /predict, of `most` items if that is less than may be asked for."""
        return await self._answer(request, partial(self._reader.read, most=most))

    async def translated(
        self, request: web.Request, rows: Callable[[object], list[dict[str, Any]]], version: int | None = None
    ) -> Answer:
        """The answer to a body of which `rows` makes rows; by this version only, if one is given."""
        return await self._answer(request, lambda body: self._reader.rows(rows(parse(body))), version)

    async def _answer(
        self, request: web.Request, read: Callable[[bytes], list[Values]], version: int | None = None
    ) -> Answer:
        received_at = self._clock()
        request[BODY] = body = await self._body(request)
        asked = Asked(_request_id(request), read(body), client_request_id(request), received_at, version)
        return await self.predicting.answer(asked)

    async def _body(self, request: web.Request) -> bytes:
        """The whole body.

        Raises:
            TooSlow: it does not come to its end in time.
            Unreadable: its connection ended, or it is not encoded as its headers say.
        """
        try:
            if request.content.is_eof():
                return await request.read()
            return await asyncio.wait_for(request.read(), self._body_seconds)
        except TimeoutError:
            raise TooSlow("the body did not come in time", f"{self._body_seconds:g} s") from None
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Unreadable("the body did not come whole", " ".join(str(error).split())) from error


def reply(answer: Answer, body: dict[str, Any]) -> web.Response:
    """An answer in the words of its protocol; a header names the version."""
    response = as_json(body)
    response.headers[MODEL_VERSION] = str(answer.version)
    return response


def as_json(body: object, status: int = HTTPStatus.OK, content_type: str = "application/json") -> web.Response:
    """A response in JSON."""
    return web.Response(body=orjson.dumps(body), status=status, content_type=content_type)


def client_request_id(request: web.Request) -> str | None:
    """The client's name for its request: what of it is printable ASCII, cut to LONGEST_NAME."""
    sent = request.headers.get(REQUEST_ID)
    return (printable(sent)[:MAX_CLIENT_REQUEST_ID] or None) if sent else None


def printable(sent: str) -> str:
    """What of a header is printable ASCII, so that it may go out again."""
    return "".join(c for c in sent if " " <= c <= "~")


def _request_id(request: web.Request) -> str:
    """The request's name in the table: the client's Idempotency-Key, or its own.

    Raises:
        Unreadable: the key is none.
    """
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return request[OWN_ID]
    if not _KEY.fullmatch(key):
        raise Unreadable(IDEMPOTENCY_KEY, f"must be 1 to {LONGEST_KEY} visible ASCII characters")
    return key
