"""Idempotency-Key: a key is answered once."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from support.memory_inference import DATASET, MemoryInference
from veleta_inference.adapters import keyed_answers
from veleta_inference.adapters.keyed_answers import IDEMPOTENCY_KEY, REPLAYED
from veleta_inference.adapters.request_adapter import MODEL_VERSION
from veleta_inference.domain.protocols import input_tensors

KEYS = {sha256(name.encode()).hexdigest(): name for name in ("ada", "bob")}
ROW = {name: value for name, value in DATASET.example.items() if name != DATASET.target}
TENSORS = [{**tensor, "shape": [1], "data": [ROW[tensor["name"]]]} for tensor in input_tensors(DATASET)]
BODIES: dict[str, Any] = {
    "/predict": ROW,
    "/explain": ROW,
    "/invocations": {"dataframe_records": [ROW]},
    f"/v2/models/{DATASET.name}/infer": {"inputs": TENSORS},
}


class Setup:
    """Inference with a model, journals and a table in memory. Names are API keys, if the run has some."""

    def __init__(self, memory: MemoryInference, client: TestClient[web.Request, web.Application]) -> None:
        self.memory = memory
        self._client = client

    async def post(
        self, body: object = ROW, key: str = "order-17", path: str = "/predict", name: str = ""
    ) -> ClientResponse:
        headers = {IDEMPOTENCY_KEY: key, "X-API-Key": name} if key else {}
        data = body if isinstance(body, AsyncIterator) else json.dumps(body)
        response = await self._client.post(path, data=data, headers=headers)
        await response.read()
        return response


@pytest.fixture(params=[{}])
async def setup(request: pytest.FixtureRequest) -> AsyncIterator[Setup]:
    """Without API keys, unless the parameter has their names."""
    memory = MemoryInference(key_names=request.param)
    running = asyncio.create_task(memory.service.run())
    async with TestClient(TestServer(memory.application)) as client:
        yield Setup(memory, client)
    running.cancel()


@pytest.mark.failure("F128")
@pytest.mark.parametrize("path", [path for path in BODIES if path != "/explain"])
async def test_a_repeated_request_gets_the_stored_answer(setup: Setup, path: str) -> None:
    """Of the version that answered it first. A header shows that it is a repetition. It is stored once."""
    first = await setup.post(BODIES[path], path=path)
    setup.memory.provider.version = 8
    again = await setup.post(BODIES[path], path=path)
    assert (first.status, await first.read()) == (again.status, await again.read())
    assert [r.headers[MODEL_VERSION] for r in (first, again)] == ["7", "7"]
    assert [r.headers.get(REPLAYED) for r in (first, again)] == [None, "true"]
    assert (await setup.post(BODIES[path], key="", path=path)).headers[MODEL_VERSION] == "8"
    assert list(setup.memory.answers.rows) == ["order-17"]


@pytest.mark.failure("F407")
async def test_another_request_under_the_key_is_refused(setup: Setup) -> None:
    """Another body, another order of its fields, or another path. The reason names the first request."""
    first = await (await setup.post()).json()
    reordered = dict(reversed(ROW.items()))
    for body, path in (
        ({**ROW, "bed": 2.0}, "/predict"),
        (reordered, "/predict"),
        (ROW, "/explain"),
        ("no", "/predict"),
    ):
        response = await setup.post(body, path=path)
        assert response.status == 422
        assert f"it belongs to the request {first['request_id']}" in (await response.json())["detail"]
    assert len(setup.memory.answers.rows["order-17"]) == 1


@pytest.mark.failure("F408")
@pytest.mark.parametrize("setup", [KEYS], indirect=True)
async def test_each_api_key_has_keys_of_its_own(setup: Setup) -> None:
    """Two clients may use the same one."""
    ada, bob = await setup.post(name="ada"), await setup.post({**ROW, "bed": 2.0}, name="bob")
    assert (ada.status, bob.status) == (200, 200)
    assert await ada.read() != await bob.read()
    assert (await setup.post(name="ada")).headers[REPLAYED] == "true"
    assert (await setup.post(name="bob")).status == 422
    ids = [(await response.json())["request_id"] for response in (ada, bob)]
    assert list(setup.memory.answers.rows) == ids
    assert {len(each) for each in ids} == {36}


@pytest.mark.failure("F407")
async def test_different_requests_at_the_same_moment_get_one_price(setup: Setup) -> None:
    """The others are refused: before, 22 of them got 22 prices, and one was stored."""
    responses = await asyncio.gather(*(setup.post({**ROW, "bed": float(bed)}) for bed in range(1, 11)))
    assert sorted(response.status for response in responses) == [200] + [422] * 9
    same = await asyncio.gather(*(setup.post(key="another") for _ in range(10)))
    assert len({await response.read() for response in same}) == 1


@pytest.mark.failure("F128")
async def test_a_key_needs_mysql(setup: Setup) -> None:
    """It may have been used before. Other requests are answered."""
    setup.memory.answers.down = True
    response = await setup.post()
    assert (response.status, response.headers["Retry-After"]) == (503, "2")
    assert (await setup.post(key="")).status == 200
    setup.memory.answers.down = False
    assert (await setup.post()).status == 200


async def test_a_refused_request_does_not_use_up_its_key(setup: Setup) -> None:
    """Its client repeats it with what was missing."""
    assert [(await setup.post(body)).status for body in ({}, ROW)] == [422, 200]


@pytest.mark.failure("F407")
async def test_a_request_of_an_earlier_version_has_no_answer(setup: Setup) -> None:
    """Its body is not known, so it may be another one."""
    setup.memory.answers.rows["order-17"] = [{}]
    response = await setup.post()
    assert response.status == 422
    assert "the request order-17 has this id, and no stored answer" in (await response.json())["detail"]


async def test_few_requests_with_keys_wait_for_mysql(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds its body, so the memory that they take is bounded. The others may come later."""
    monkeypatch.setattr(keyed_answers, "MAX_IN_FLIGHT", 2)
    responses = await asyncio.gather(*(setup.post(key=str(number)) for number in range(5)))
    assert sorted(response.status for response in responses) == [200, 200, 503, 503, 503]
    assert (await setup.post(key="later")).status == 200


async def test_a_body_that_arrives_slowly_keeps_no_other_key_out(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few clients that send nothing more could refuse all others for as long as a body may take."""
    monkeypatch.setattr(keyed_answers, "MAX_IN_FLIGHT", 1)
    sent, rest = asyncio.Event(), asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b" "
        sent.set()
        await rest.wait()
        yield json.dumps(ROW).encode()

    slow = asyncio.ensure_future(setup.post(slow_body(), key="slow"))
    await sent.wait()
    await asyncio.sleep(0.1)
    assert (await setup.post(key="fast")).status == 200
    rest.set()
    assert (await slow).status == 200
