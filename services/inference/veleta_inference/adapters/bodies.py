"""Receives the bodies of requests and decompresses them, within limits of bytes and time."""

import asyncio
import zlib
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from veleta.errors import Reject, Retry
from veleta_inference.domain.errors import UnreadableBody

SMALL_BYTES = 16 * 1024
"""A body with more bytes is decoded in turn with other such bodies, and other requests are handled between them."""
MAX_RECEIVED = 128 * 1024 * 1024
"""The bytes of all bodies in one process that are received and not yet decoded."""
BODY = web.RequestKey("body", bytes)
"""The part of a request's body that was read."""
PLAIN, GZIP, DEFLATE = "identity", "gzip", "deflate"
ENCODINGS = f"{GZIP}, {DEFLATE}"
"""The encodings that a body may have, besides none."""
INCOMPLETE, WRONG_ENCODING = "the body is incomplete", "the body is not compressed as its Content-Encoding says"
T = TypeVar("T")


class BodyTimeout(Reject):
    """A body did not arrive in time."""


class BodyReader:
    """Reads the bodies of all requests of one process."""

    def __init__(self, seconds: float, require_capacity: Callable[[], None]) -> None:
        """A body must arrive within `seconds`. `require_capacity` raises Retry if no large body may be decoded."""
        self._seconds = seconds
        self._require_capacity = require_capacity
        self._received = 0
        self._turn = asyncio.Lock()

    async def read(self, request: web.Request, decode: Callable[[bytes], T]) -> T:
        """What `decode` makes of the body of a request.

        Raises:
            BodyTimeout: it does not arrive in time.
            UnreadableBody: the connection ended, or the body is not encoded as its headers say.
            web.HTTPException: it is too large, or has an encoding that is not supported.
            Retry: too much is in flight.
        """
        encoding = _encoding(request)
        received = bytearray()
        try:
            if request.content.is_eof():
                self._append(request, request.content.read_nowait(), received)
            else:
                await asyncio.wait_for(self._receive(request, received), self._seconds)
            request[BODY] = body = bytes(received)
            if len(body) <= SMALL_BYTES and encoding == PLAIN:
                return decode(body)
            async with self._turn:
                await asyncio.sleep(0)
                self._require_capacity()
                request[BODY] = body = _decompress(body, encoding, request.client_max_size)
                return decode(body)
        except TimeoutError:
            raise BodyTimeout("the body did not arrive in time", f"{self._seconds:g} s") from None
        except (web.RequestPayloadError, ConnectionError) as error:
            raise UnreadableBody(INCOMPLETE, " ".join(str(error).split())) from error
        finally:
            self._received -= len(received)

    async def _receive(self, request: web.Request, received: bytearray) -> None:
        """Append the body to `received`, and count its bytes."""
        async for chunk in request.content.iter_any():
            self._append(request, chunk, received)

    def _append(self, request: web.Request, chunk: bytes, received: bytearray) -> None:
        received += chunk
        self._received += len(chunk)
        if len(received) > request.client_max_size:
            raise web.HTTPRequestEntityTooLarge(request.client_max_size)
        if len(received) > SMALL_BYTES and self._received > MAX_RECEIVED:
            raise Retry("inference", f"{self._received:,} bytes of bodies are being received")


def _encoding(request: web.Request) -> str:
    """The encoding of a body. Raises HTTPUnsupportedMediaType if it is not one of ENCODINGS."""
    encoding = request.headers.get("Content-Encoding", PLAIN).strip().lower()
    if encoding not in {PLAIN, GZIP, DEFLATE}:
        raise web.HTTPUnsupportedMediaType(
            text=f"a body may have one of these encodings: {ENCODINGS}", headers={"Accept-Encoding": ENCODINGS}
        )
    return encoding


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The decompressed body. No more than `limit` bytes are decompressed.

    Raises:
        UnreadableBody: it is not compressed with `encoding`, or it has no end.
        web.HTTPRequestEntityTooLarge: it has more bytes.
    """
    if encoding == PLAIN:
        return body
    # Some clients send deflate without zlib's head, whose first half-byte is 8.
    raw = encoding == DEFLATE and body[:1] and body[0] & 0x0F != 8  # noqa: PLR2004 - explained above
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS if encoding == GZIP else (-1 if raw else 1) * zlib.MAX_WBITS)
    try:
        decompressed = decompressor.decompress(body, limit + 1)
    except zlib.error as error:
        raise UnreadableBody(WRONG_ENCODING, f"it is not {encoding}") from error
    if len(decompressed) > limit:
        raise web.HTTPRequestEntityTooLarge(limit)
    if not decompressor.eof:
        raise UnreadableBody(INCOMPLETE, f"its {encoding} stream has no end")
    if decompressor.unused_data:
        raise UnreadableBody(WRONG_ENCODING, f"it is not one {encoding} stream")
    return decompressed
