"""The day and the level of the market in requests and answers of all protocols."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from support.market_levels import LEARNT, MARKET, UPDATED_AT, level_updated
from support.memory_inference import DATASET, MemoryInference
from veleta.ports import Version
from veleta_inference.adapters.openapi import document
from veleta_inference.domain.protocols import input_tensors
from veleta_inference.domain.served_market import LevelUpdates

ROW: dict[str, Any] = {column.name: MARKET.example[column.name] for column in MARKET.inputs}
HOUSE = ROW["bed"] + 1
"""The logarithm that the model in memory predicts for it."""
TENSORS = [{**tensor, "shape": [1], "data": [ROW[tensor["name"]]]} for tensor in input_tensors(MARKET)]
INFER = f"/v2/models/{MARKET.name}/infer"
UPDATES = LevelUpdates.after(None, level_updated(Version(7, "run"), 4, date(2014, 10, 3), 0.07), UPDATED_AT)
PRESENT = {"as_of": "2014-10-03", "market": {"factor": math.exp(0.07), "since": "2014-05"}}
JUNE = {"as_of": "2014-06-30", "market": {"factor": math.exp(0.01), "since": "2014-05"}}
PERIOD = "from 2014-05-02 to 2014-10-03"


@dataclass
class Setup:
    """Inference with a model of a market in memory."""

    memory: MemoryInference
    client: TestClient[web.Request, web.Application]

    async def post(self, path: str, body: object, key: str = "") -> Any:
        """The body of the answer, after a check of its status: 200 if it has prices."""
        headers = {"Idempotency-Key": key} if key else {}
        response = await self.client.post(path, json=body, headers=headers)
        answer = await response.json()
        assert response.status == answer.get("status", 200)
        return answer

    async def refused(self, path: str, body: object) -> str:
        """Why a request is refused with 422."""
        answer = await self.post(path, body)
        assert answer["status"] == 422, answer
        return str(answer["errors"][0]["message"] if answer["errors"] else answer["detail"])

    def stored(self) -> list[tuple[object, ...]]:
        """The day, the level and its update of each stored request, and its first price."""
        lines = [line for group in self.memory.answered.groups for line in group]
        names = ("as_of", "market_level", "level_seq")
        return [(*(line.get(name) for name in names), line["items"][0]["prediction"]) for line in lines]


@pytest.fixture(params=[MARKET])
async def setup(request: pytest.FixtureRequest) -> AsyncIterator[Setup]:
    """Of a dataset with a market, unless a test's parameter is another one. The model has a level for MARKET only."""
    memory = MemoryInference(dataset=request.param)
    if request.param is MARKET:
        memory.provider.booster.market, memory.provider.updates = LEARNT, UPDATES
    running = asyncio.create_task(memory.service.run())
    async with TestClient(TestServer(memory.application)) as client:
        yield Setup(memory, client)
    running.cancel()


async def test_an_answer_names_the_day_and_the_level_of_its_prices(setup: Setup) -> None:
    """By default those of the newest row that the level follows."""
    answer = await setup.post("/predict", ROW)
    assert {name: answer[name] for name in PRESENT} == PRESENT
    assert answer["predictions"][0]["price"] == math.exp(HOUSE + 0.07)
    answer = await setup.post("/invocations", {"dataframe_records": [ROW]})
    assert answer == {"predictions": [math.exp(HOUSE + 0.07)], **PRESENT}
    answer = await setup.post(INFER, {"inputs": TENSORS})
    assert answer["parameters"] == {"as_of": "2014-10-03", "market_factor": math.exp(0.07), "market_since": "2014-05"}
    assert answer["outputs"][0]["data"] == [math.exp(HOUSE + 0.07)]
    assert setup.stored() == [("2014-10-03", 0.07, 4, math.exp(HOUSE + 0.07))] * 3


async def test_a_request_may_ask_for_another_day(setup: Setup) -> None:
    """In the item, or in the parameters of the other protocols. The items of one request have one day."""
    answer = await setup.post("/predict", {**ROW, "as_of": "2014-06-30"})
    assert {name: answer[name] for name in JUNE} == JUNE
    assert [each["price"] for each in answer["predictions"]] == [math.exp(HOUSE + 0.01)]
    answer = await setup.post("/predict", [{**ROW, "as_of": "2014-06-30"}] * 2)
    assert [each["price"] for each in answer["predictions"]] == [math.exp(HOUSE + 0.01)] * 2
    answer = await setup.post("/invocations", {"instances": [ROW], "params": {"as_of": "2014-06-30"}})
    assert answer == {"predictions": [math.exp(HOUSE + 0.01)], **JUNE}
    answer = await setup.post(INFER, {"inputs": TENSORS, "parameters": {"as_of": "2014-06-30", "other": 1}})
    assert answer["outputs"][0]["data"] == [math.exp(HOUSE + 0.01)]
    assert answer["parameters"]["as_of"] == "2014-06-30"
    assert setup.stored() == [("2014-06-30", 0.01, 0, math.exp(HOUSE + 0.01))] * 4


async def test_requests_for_several_days_are_predicted_together(setup: Setup) -> None:
    """Each gets the price of its own day. One for an impossible day fails alone."""
    days = ["2014-05-02", None, "2014-06-30", "2013-01-01"]
    setup.memory.answered.gate.clear()
    first = asyncio.create_task(setup.post("/predict", ROW))
    await asyncio.wait_for(setup.memory.answered.entered.wait(), 5)
    others = [asyncio.create_task(setup.post("/predict", {**ROW, "as_of": day})) for day in days]
    await asyncio.sleep(0.2)
    setup.memory.answered.gate.set()
    *answers, refused = await asyncio.gather(first, *others)
    levels = [math.log(answer["predictions"][0]["price"]) - HOUSE for answer in answers]
    assert levels == pytest.approx([0.07, 0.0, 0.07, 0.01])
    assert refused["detail"] == f"as_of must be a day {PERIOD}, not 2013-01-01"


@pytest.mark.failure("F474")
@pytest.mark.parametrize("day", ["2014-05-01", "2015-01-01", "2014-10-04", "May", 20140530, True, ["2014-06-30"]])
async def test_an_impossible_day_is_refused(setup: Setup, day: object) -> None:
    """With the days that are possible. Nothing is stored as answered."""
    bodies: list[tuple[str, object]] = [
        ("/predict", {**ROW, "as_of": day}),
        ("/invocations", {"dataframe_records": [ROW], "params": {"as_of": day}}),
        (INFER, {"inputs": TENSORS, "parameters": {"as_of": day}}),
    ]
    for path, body in bodies:
        assert (await setup.refused(path, body)).startswith(f"as_of must be a day {PERIOD}, not ")
    assert setup.stored() == []


@pytest.mark.failure("F474")
async def test_the_items_of_a_request_have_one_day(setup: Setup) -> None:
    """Otherwise the answer could not name it. A day that is given twice is no valid JSON."""
    body = [{**ROW, "as_of": "2014-06-30"}, ROW]
    assert await setup.refused("/predict", body) == "as_of must be the same in all items of a request"
    twice = json.dumps({**ROW, "as_of": "2014-06-30"})[:-1] + ', "as_of": "2014-06-29"}'
    assert (await setup.client.post("/predict", data=twice)).status == 400


@pytest.mark.failure("F474")
@pytest.mark.parametrize("setup", [DATASET], indirect=True)
async def test_without_a_market_there_is_no_other_day(setup: Setup) -> None:
    """The answers and the journal have nothing about a level, and GET /model says null."""
    assert "without [market] in the dataset file" in await setup.refused("/predict", {**ROW, "as_of": "2014-06-30"})
    body: dict[str, Any] = {"dataframe_records": [ROW]}
    assert "no levels of the market" in await setup.refused("/invocations", {**body, "params": {"as_of": "2014-06-30"}})
    infer = {"inputs": TENSORS, "parameters": {"as_of": "2014-06-30"}}
    assert "no levels of the market" in await setup.refused(INFER, infer)
    assert (await setup.post("/predict", ROW)).keys() == {"request_id", "model", "predictions"}
    assert await setup.post("/invocations", body) == {"predictions": [math.exp(HOUSE)]}
    assert (await setup.post(INFER, {"inputs": TENSORS})).keys() == {"model_name", "model_version", "outputs"}
    assert not any("level_seq" in line for group in setup.memory.answered.groups for line in group)
    assert "market" not in await (await setup.client.get("/model")).json()


async def test_a_key_belongs_to_the_day_of_its_request(setup: Setup) -> None:
    """The answer is replayed with its day, also after the level moved. Another day needs another key."""
    first = await setup.post("/predict", {**ROW, "as_of": "2014-06-30"}, "order-1")
    setup.memory.provider.updates = None
    assert await setup.post("/predict", {**ROW, "as_of": "2014-06-30"}, "order-1") == first
    other = await setup.post("/predict", {**ROW, "as_of": "2014-06-29"}, "order-1")
    assert (other["status"], "another path or body" in other["detail"]) == (422, True)


async def test_the_model_shows_its_market(setup: Setup) -> None:
    """The names are part of the HTTP interface."""
    market = (await (await setup.client.get("/model")).json())["market"]
    periods = market.pop("periods")
    assert market == {
        "time": "prev_sold_date", "every": "month", "method": "trend", "since": "2014-05", "first": "2014-05-02",
        "as_of": "2014-10-03", "factor": math.exp(0.07), "error": 0.006, "level_seq": 4, "pinned": False,
        "waiting": None,
    }  # fmt: skip
    assert periods[0] == {"period": "2014-05-01", "factor": 1.0, "error": 0.004}
    assert [each["period"] for each in periods[1:]] == ["2014-06-01", "2014-07-01", "2014-10-01"]


async def test_the_document_has_the_day_and_the_level(setup: Setup) -> None:
    """Of requests and of answers, in all protocols. That of a dataset without a market has neither."""
    openapi = await (await setup.client.get("/openapi.json")).json()
    validate(openapi, cls=OpenAPIV31SpecValidator)
    day = {"as_of": "2014-06-30"}
    exchanges: list[tuple[str, str, str, object]] = [
        ("/predict", "Items", "Predictions", {**ROW, **day}),
        ("/invocations", "Invocation", "Invoked", {"dataframe_records": [ROW], "params": day}),
        (INFER, "Inference", "Inferred", {"inputs": TENSORS, "parameters": day}),
    ]
    for path, request, response, body in exchanges:
        for name, value in ((request, body), (response, await setup.post(path, body))):
            schema = {"$ref": f"#/components/schemas/{name}", "components": openapi["components"]}
            jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
    schemas = openapi["components"]["schemas"]
    for name in ("Predictions", "Explanations", "Invoked"):
        assert {"as_of", "market"} <= schemas[name]["properties"].keys()
    assert {"as_of", "market_factor", "market_since"} <= schemas["MarketParameters"]["properties"].keys()
    assert "as_of" in schemas["Item"]["properties"]
    without = document(DATASET, 10)["components"]["schemas"]
    assert [name for name, schema in without.items() if "as_of" in schema.get("properties", {})] == ["Market"]
