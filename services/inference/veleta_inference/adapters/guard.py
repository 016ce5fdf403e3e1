"""Checks each request's API key, and limits the requests in flight of each client."""

import hmac
from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from veleta.api_keys import digest
from veleta.errors import Reject
from veleta_inference.adapters import docs

OPEN = {"/livez", "/readyz", "/metrics", "/ping", "/health", "/v2/health/live", "/v2/health/ready", *docs.PATHS}
"""The paths that need no key: health, metrics and documentation (decision 20)."""


KEY_NAME = web.RequestKey("key_name", str)
"""The name of the key that a request was sent with, if keys are required."""


class Unauthorized(Reject):
    """A request without a valid key."""


class TooManyRequests(Reject):
    """A client has too many requests in flight."""


class Guard:
    """Admits requests before anything else is done for them."""

    def __init__(self, names: Mapping[str, str], client_limit: int) -> None:
        """`names` has the name of each valid key by its digest. Without any, no key is required."""
        self._names = names
        self._limit = client_limit
        self._in_flight: Counter[str] = Counter()

    def enter(self, request: web.Request) -> str | None:
        """Admit a request and return its client, None on an open path. Call `leave` when the request ends.

        A client is identified by its key or, without keys, by its address.

        Raises:
            Unauthorized: the request has no valid key.
            TooManyRequests: the client has as many requests in flight as allowed.
        """
        if request.path in OPEN:
            return None
        client = self._client(request)
        if self._in_flight[client] >= self._limit:
            raise TooManyRequests("too many requests", f"one client may have {self._limit} in flight")
        self._in_flight[client] += 1
        return client

    def leave(self, client: str | None) -> None:
        """A request of this client has ended."""
        if client is None:
            return
        self._in_flight[client] -= 1
        if not self._in_flight[client]:
            del self._in_flight[client]

    def _client(self, request: web.Request) -> str:
        if not self._names:
            return request.remote or ""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
        sent = digest(key)
        # All are compared, each in constant time, so that the duration reveals nothing about the keys.
        same = [name for valid, name in self._names.items() if hmac.compare_digest(sent, valid)]
        if not key or not same:
            raise Unauthorized("no valid key", "send it as Authorization: Bearer KEY, or as X-API-Key: KEY")
        request[KEY_NAME] = same[0]
        return same[0]
