"""Who may ask, how much at once and how slowly; and what each answer bears."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from support.serving import DATASET, Front, Gate
from veleta_inference.adapters.guard import OPEN

KEYS = ("the old one", "the new one")
DIGESTS = [hashlib.sha256(key.encode()).hexdigest().upper() for key in KEYS]
BODY = json.dumps(DATASET.example).encode()
Client = TestClient[web.Request, web.Application]


class Open(Protocol):
    """Starts the service's pages: a client of them, and the journals of what is answered and of what is refused."""

    async def __call__(
        self, *, digests: list[str] = ..., limit: int = ..., seconds: float = ...
    ) -> tuple[Client, Gate, Gate]: ...


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """The pages on a model and journals in memory."""
    async with AsyncExitStack() as stack:

        async def opening(
            *, digests: list[str] | None = None, limit: int = 10, seconds: float = 5.0
        ) -> tuple[Client, Gate, Gate]:
            front = Front(digests or [], limit, seconds)
            working = asyncio.create_task(front.predicting.work())
            stack.callback(working.cancel)
            client: Client = await stack.enter_async_context(TestClient(TestServer(front.pages)))
            return client, front.answered, front.refused

        yield opening


@pytest.mark.failure("F57")
async def test_a_key_opens(opened: Open) -> None:
    """Each of several, in either header; without one, or with another, nothing is done but to say so."""
    client, answered, refused = await opened(digests=DIGESTS)
    for headers in ({"Authorization": f"Bearer {KEYS[0]}"}, {"X-API-Key": KEYS[1]}):
        assert (await client.post("/predict", data=BODY, headers=headers)).status == 200
    wrong: list[dict[str, str]] = [{}, {"X-API-Key": "guess"}, {"Authorization": f"Basic {KEYS[0]}"}]
    for headers in wrong:
        said = await client.post("/predict", data=BODY, headers=headers)
        assert (said.status, said.headers["WWW-Authenticate"], said.content_type) == (
            401, "Bearer", "application/problem+json",
        )  # fmt: skip
        assert "no valid key" in (await said.json())["detail"]
    assert [(await client.get(path)).status for path in ("/model", "/models/history", "/nowhere")] == [401] * 3
    for path in OPEN - {"/livez", "/readyz", "/metrics"}:
        assert (await client.get(path)).status == 200
    assert len(answered.groups) == 2
    assert {line["http_status"] for group in refused.groups for line in group} == {401}
    assert not any(key in json.dumps(refused.groups) for key in KEYS)


@pytest.mark.failure("F57")
async def test_one_client_does_not_take_it_all(opened: Open) -> None:
    """Beyond its share it is told to come back; when its requests are done it may ask again."""
    client, answered, _ = await opened(limit=1)
    answered.gate.clear()
    first = asyncio.create_task(client.post("/predict", data=BODY))
    await asyncio.wait_for(answered.entered.wait(), 5)
    said = await client.post("/predict", data=BODY)
    assert (said.status, said.headers["Retry-After"]) == (429, "2")
    assert (await client.get("/ping")).status == 200
    answered.gate.set()
    assert (await first).status == 200
    assert (await client.post("/predict", data=BODY)).status == 200


@pytest.mark.failure("F57")
async def test_a_body_that_does_not_come_is_not_waited_for(opened: Open) -> None:
    """408; others are answered meanwhile."""
    client, _, _ = await opened(seconds=0.2)

    async def slowly() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await asyncio.sleep(30)

    slow = asyncio.create_task(client.post("/predict", data=slowly()))
    assert (await client.post("/predict", data=BODY)).status == 200
    said = await slow
    assert (said.status, (await said.json())["detail"]) == (408, "the body did not come in time: 0.2 s")


@pytest.mark.failure("F62")
async def test_a_body_that_breaks_off_is_kept_apart(opened: Open) -> None:
    """The client hung up, or did not compress what it says it did: its fault, not ours."""
    client, answered, refused = await opened()
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY[:50]))
    await writer.drain()
    writer.close()
    await asyncio.wait_for(refused.entered.wait(), 5)
    said = await client.post("/predict", data=BODY, headers={"Content-Encoding": "gzip"})
    assert said.status == 400
    lines = [line for group in refused.groups for line in group]
    assert [line["http_status"] for line in lines] == [400, 400]
    assert all(line["reason"].startswith("the body did not come whole: ") for line in lines)
    assert answered.groups == []


async def test_a_body_may_come_in_pieces(opened: Open) -> None:
    """As long as it comes in time."""
    client, _, _ = await opened()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 50):
            yield BODY[start : start + 50]
            await asyncio.sleep(0.001)

    assert (await client.post("/predict", data=pieces())).status == 200


async def test_each_answer_bears_the_requests_name(opened: Open) -> None:
    """The client's, or else our own, which is that of its line; a trace goes out as it came in."""
    client, answered, refused = await opened()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    said = await client.post("/predict", data=BODY, headers={"traceparent": trace})
    assert said.headers["traceparent"] == trace
    assert said.headers["X-Request-ID"] == (await said.json())["request_id"] == answered.groups[0][0]["request_id"]
    theirs = await client.post("/predict", data=BODY, headers={"X-Request-ID": "theirs"})
    assert theirs.headers["X-Request-ID"] == "theirs"
    bad = await client.post("/predict", data=b"{")
    assert bad.headers["X-Request-ID"] == refused.groups[0][0]["request_id"]
