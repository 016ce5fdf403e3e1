"""Idempotency-Key: a request that is repeated under its key gets its stored answer.

https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
"""

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256

import msgspec
import orjson
from aiohttp import web

from veleta.errors import Reject, Retry
from veleta_inference.adapters.guard import KEY_NAME
from veleta_inference.adapters.request_adapter import KEYED_ID, PREDICTED, RequestAdapter
from veleta_inference.domain.errors import InvalidRequest, UnreadableBody
from veleta_inference.ports import AnswerTable

IDEMPOTENCY_KEY = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""The header of an answer that was sent before."""
MAX_KEY = 36
KEY_PATTERN = f"^[!-~]{{1,{MAX_KEY}}}$"
MAX_IN_FLIGHT = 100
"""Requests with keys in one process that hold their bodies while MySQL is asked."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answer(msgspec.Struct, frozen=True):
    """An answer with prices. `request_digest` is the SHA-256 of its request's path and body."""

    request_digest: str
    headers: dict[str, str]
    body: str


class KeyedAnswers:
    """Answers each key once. The first answer that is stored in MySQL is the answer.

    So it is the same for all workers, and after a restart. A key is remembered as long as its request is stored.
    """

    def __init__(self, adapter: RequestAdapter, table: AnswerTable) -> None:
        self._adapter = adapter
        self._table = table
        self._in_flight = 0

    async def respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The stored answer, or that of the handler, which is stored before it is sent.

        Each API key has keys of its own.

        Raises:
            UnreadableBody: the key is not valid. See also `BodyReader.read`.
            InvalidRequest: the key's first request had another path or body.
            Retry: MySQL is unavailable, or too many such requests are in flight.
        """
        request_id = _request_id(request.get(KEY_NAME), request.headers[IDEMPOTENCY_KEY])
        body = await self._adapter.read_body(request)
        if self._in_flight >= MAX_IN_FLIGHT:
            raise Retry("inference", f"{MAX_IN_FLIGHT} requests with an {IDEMPOTENCY_KEY} are in flight")
        self._in_flight += 1
        try:
            return await self._respond(request, request_id, body, handler)
        finally:
            self._in_flight -= 1

    async def _respond(
        self, request: web.Request, request_id: str, body: bytes, handler: Handler
    ) -> web.StreamResponse:
        digest = sha256(b"%b %b" % (request.path.encode(errors="surrogateescape"), body)).hexdigest()
        if (stored := await self._table.find(request_id)) is not None:
            return _replay(request_id, stored, digest)
        request[KEYED_ID] = request_id
        response = await handler(request)
        assert isinstance(response, web.Response)  # noqa: S101 - each handler of a POST returns one
        headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        own = msgspec.json.encode(Answer(digest, headers, response.text or "")).decode()
        row = orjson.loads(request[PREDICTED].line)
        row["items"][0]["answer"] = own
        stored = await self._store(request_id, orjson.dumps(row))
        return response if stored == own else _replay(request_id, stored, digest)

    async def _store(self, request_id: str, line: bytes) -> str:
        """Store a request with its answer, unless one of its id was stored meanwhile. Returns the stored answer."""
        refused = None
        try:
            await self._table.insert([line])
        except Reject as error:
            refused = error  # also if another process inserts it at the same moment
        if (stored := await self._table.find(request_id)) is not None:
            return stored
        raise refused or Retry("mysql", "the request was deleted while it was answered")


def _request_id(owner: str | None, key: str) -> str:
    """The id of a key's request. Without an API key, its `owner`, it is the key. Raises UnreadableBody."""
    if not re.fullmatch(KEY_PATTERN, key):
        raise UnreadableBody(IDEMPOTENCY_KEY, f"must be 1 to {MAX_KEY} visible ASCII characters")
    return sha256(f"{owner} {key}".encode()).hexdigest()[:MAX_KEY] if owner else key


def _replay(request_id: str, stored: str, digest: str) -> web.Response:
    """The stored answer, if it is that of a request with this digest. Raises InvalidRequest."""
    if not stored:
        detail = f"{IDEMPOTENCY_KEY}: the request {request_id} has this id, and no stored answer: use another key"
        raise InvalidRequest(detail, [])
    answer = msgspec.json.decode(stored, type=Answer)
    if answer.request_digest != digest:
        other = f"it belongs to the request {request_id}, which had another path or body"
        detail = f"{IDEMPOTENCY_KEY}: {other}: use another key"
        raise InvalidRequest(detail, [])
    headers = {**answer.headers, REPLAYED: "true"}
    return web.Response(body=answer.body.encode(), content_type="application/json", headers=headers)
