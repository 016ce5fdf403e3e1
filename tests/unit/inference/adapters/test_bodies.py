"""Bodies of requests: their encodings, and the limits of their bytes."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from support.memory_inference import BODY_LIMIT, DATASET
from veleta.errors import Reject, Retry
from veleta_inference.adapters import bodies
from veleta_inference.adapters.bodies import SMALL_BYTES, BodyReader
from veleta_inference.adapters.problems import problem

BODY = json.dumps(DATASET.example).encode()
Encode = Callable[[bytes], bytes]
Post = Callable[..., Awaitable[ClientResponse]]


def _raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


ENCODED: Mapping[str, tuple[str, Encode]] = {
    "none": ("", lambda body: body),
    "identity": ("identity", lambda body: body),
    "gzip": ("gzip", gzip.compress),
    "another case": ("GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a head": ("deflate", _raw_deflate),
}
every_encoding = pytest.mark.parametrize(("encoding", "encode"), ENCODED.values(), ids=ENCODED)


class Capacity:
    """Whether large bodies may be decoded."""

    def __init__(self) -> None:
        self.exhausted = False

    def require(self) -> None:
        """Raise Retry while it is exhausted."""
        if self.exhausted:
            raise Retry("inference", "many rows are in flight")


@pytest.fixture
def capacity() -> Capacity:
    return Capacity()


@pytest.fixture
async def post(capacity: Capacity) -> AsyncIterator[Post]:
    """Sends a body to a server that responds with its decoded bytes."""
    reader = BodyReader(5.0, capacity.require)

    async def respond(request: web.Request) -> web.Response:
        try:
            return web.Response(body=await reader.read(request, lambda body: body))
        except (Reject, Retry, web.HTTPException) as error:
            return problem(error).response(request.path)

    app = web.Application(client_max_size=BODY_LIMIT)
    app.add_routes([web.post("/", respond)])
    server = TestServer(app)
    await server.start_server(auto_decompress=False)  # as veleta.service.listener
    async with TestClient(server) as client:

        async def posting(body: bytes | AsyncIterator[bytes], encoding: str = "") -> ClientResponse:
            headers = {"Content-Encoding": encoding} if encoding else {}
            return await client.post("/", data=body, headers=headers)

        yield posting


async def in_pieces(body: bytes, pause: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """A body of which the last byte comes after the pause."""
    yield body[:-1]
    if pause:
        await pause.wait()
    yield body[-1:]


@every_encoding
@pytest.mark.parametrize("size", [1, BODY_LIMIT])
async def test_a_body_is_decompressed(post: Post, encoding: str, encode: Encode, size: int) -> None:
    """Up to the limit, in one piece or in several."""
    body = bytes(size)
    for sent in (encode(body), in_pieces(encode(body))):
        response = await post(sent, encoding)
        assert (response.status, await response.read()) == (200, body)


@pytest.mark.failure("F370")
@every_encoding
async def test_the_limit_counts_for_decompressed_bytes(post: Post, encoding: str, encode: Encode) -> None:
    """One byte more is too large."""
    assert (await post(encode(bytes(BODY_LIMIT + 1)), encoding)).status == 413


@pytest.mark.failure("F370")
async def test_no_more_than_the_limit_is_decompressed(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bytes the body would have."""
    lengths, create = list[int](), zlib.decompressobj

    class Counted:
        """A decompressor that counts its output."""

        def __init__(self, wbits: int) -> None:
            self._decompressor = create(wbits)

        def decompress(self, body: bytes, limit: int) -> bytes:
            decompressed = self._decompressor.decompress(body, limit)
            lengths.append(len(decompressed))
            return decompressed

    monkeypatch.setattr(zlib, "decompressobj", Counted)
    assert (await post(gzip.compress(bytes(50 * BODY_LIMIT)), "gzip")).status == 413
    assert lengths == [BODY_LIMIT + 1]


@pytest.mark.failure("F370")
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x"])
async def test_other_encodings_are_refused(post: Post, encoding: str) -> None:
    """With those that are possible."""
    response = await post(BODY, encoding)
    assert (response.status, response.headers["Accept-Encoding"]) == (415, "gzip, deflate")
    assert (await response.json())["detail"] == "a body may have one of these encodings: gzip, deflate"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BODY, "the body is not compressed as its Content-Encoding says: it is not gzip"),
        (gzip.compress(BODY)[:-1], "the body is incomplete: its gzip stream has no end"),
        (gzip.compress(BODY) * 2, "the body is not compressed as its Content-Encoding says: it is not one gzip stream"),
        (b"", "the body is incomplete: its gzip stream has no end"),
    ],
)
async def test_damaged_data_are_refused(post: Post, body: bytes, reason: str) -> None:
    """Also several streams in one body: thousands of empty ones would take long."""
    response = await post(body, "gzip")
    assert (response.status, (await response.json())["detail"]) == (400, reason)


@pytest.mark.failure("F372")
async def test_large_bodies_that_are_received_are_bounded(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above MAX_RECEIVED of all bodies a large one is refused with 503. A small one is read."""
    monkeypatch.setattr(bodies, "MAX_RECEIVED", 3 * SMALL_BYTES)
    large, complete = bytes(2 * SMALL_BYTES), asyncio.Event()
    waiting = asyncio.ensure_future(post(in_pieces(large, complete)))
    await asyncio.sleep(0.1)
    response = await post(large)
    assert (response.status, response.headers["Retry-After"]) == (503, "2")
    assert (await post(bytes(SMALL_BYTES))).status == 200
    complete.set()
    assert (await waiting).status == 200
    assert (await post(large)).status == 200


@pytest.mark.failure("F372")
async def test_a_large_body_is_not_decoded_without_capacity(post: Post, capacity: Capacity) -> None:
    """Nor a compressed one, which may become large."""
    capacity.exhausted = True
    for body, encoding, status in (
        (bytes(SMALL_BYTES + 1), "", 503),
        (gzip.compress(BODY), "gzip", 503),
        (BODY, "", 200),
    ):
        assert (await post(body, encoding)).status == status
