"""Who may ask, and how much at once."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Sequence

from aiohttp import web

from veleta.errors import Reject
from veleta_inference.adapters import docs

OPEN = {"/livez", "/readyz", "/metrics", "/ping", "/health", "/v2/health/live", "/v2/health/ready", *docs.PATHS}
"""What is asked by those who look after the service or read about it, without a key (decision 0020)."""


class Unknown(Reject):
    """No key, or one that nobody was given."""


class TooMany(Reject):
    """A client has too many requests in flight."""


class Guard:
    """Looks at each request before anything is done for it."""

    def __init__(self, digests: Sequence[str], client_limit: int) -> None:
        """`digests` are the SHA-256 of the keys, hexadecimal; without any, no key is asked for."""
        self._digests = [digest.lower() for digest in digests]
        self._limit = client_limit
        self._in_flight: Counter[str] = Counter()

    def enter(self, request: web.Request) -> str | None:
        """Let a request in, and say whose it is; None where nobody asks whose. `leave` when it is over.

        Raises:
            Unknown: it bears no key that is known.
            TooMany: its client, known by its key or else by its address, has as many under way as one may.
        """
        if request.path in OPEN:
            return None
        client = self._client(request)
        if self._in_flight[client] >= self._limit:
            raise TooMany("too many requests", f"one client may have {self._limit} under way")
        self._in_flight[client] += 1
        return client

    def leave(self, client: str | None) -> None:
        """A request of this client is over."""
        if client is None:
            return
        self._in_flight[client] -= 1
        if not self._in_flight[client]:
            del self._in_flight[client]

    def _client(self, request: web.Request) -> str:
        if not self._digests:
            return request.remote or ""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
        digest = hashlib.sha256(given.encode(errors="surrogateescape")).hexdigest()
        # Each is compared, in a time that does not depend on where they differ.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise Unknown("no valid key", "send it as Authorization: Bearer KEY, or as X-API-Key: KEY")
        return digest
