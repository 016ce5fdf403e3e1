"""The application: keys, limits per client, slow bodies, and the headers of responses."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from support.memory_inference import DATASET, MOST_BEDS, GatedJournal, MemoryInference
from veleta.api_keys import digest
from veleta.intervals import Calibration
from veleta.service.origins import FOREIGN_PAGE, OriginPolicy
from veleta.service.routes import check_origins
from veleta_inference.adapters.bodies import INCOMPLETE, WRONG_ENCODING
from veleta_inference.adapters.explainer_pool import MAX_EXPLAINED_ITEMS
from veleta_inference.adapters.guard import OPEN
from veleta_inference.adapters.http import forbidden
from veleta_inference.domain.protocols import input_tensors

KEYS = ("the old one", "the new one")
NAMES = {digest(key): name for key, name in zip(KEYS, ("old", "new"), strict=True)}
BODY = json.dumps(DATASET.example).encode()
Client = TestClient[web.Request, web.Application]


class Start(Protocol):
    """Starts the application. Returns a client, and the journals of answered and of refused requests."""

    async def __call__(
        self,
        *,
        names: Mapping[str, str] = ...,
        limit: int = ...,
        seconds: float = ...,
        items: int = ...,
        strict: bool = ...,
        calibration: Calibration | None = ...,
    ) -> tuple[Client, GatedJournal, GatedJournal]: ...


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts the application with a model and journals in memory."""
    async with AsyncExitStack() as stack:

        async def starting(
            *,
            names: Mapping[str, str] | None = None,
            limit: int = 10,
            seconds: float = 5.0,
            items: int = 10,
            strict: bool = False,
            calibration: Calibration | None = None,
        ) -> tuple[Client, GatedJournal, GatedJournal]:
            inference = MemoryInference(names or {}, limit, seconds, items, strict)
            inference.provider.booster.calibration = calibration
            check = check_origins(OriginPolicy([], "INFERENCE_HOSTS"), forbidden)
            inference.application.middlewares.insert(0, check)  # as veleta.service.lifecycle
            running = asyncio.create_task(inference.service.run())
            stack.callback(running.cancel)
            server = TestServer(inference.application)
            await server.start_server(auto_decompress=False)  # as veleta.service.listener
            client: Client = await stack.enter_async_context(TestClient(server))
            return client, inference.answered, inference.refused

        yield starting


@pytest.mark.failure("F57")
async def test_a_request_needs_a_valid_key(start: Start) -> None:
    """Any of the keys, in either header. Without a valid one the response is 401, except on open paths."""
    client, answered, refused = await start(names=NAMES)
    for headers in ({"Authorization": f"Bearer {KEYS[0]}"}, {"X-API-Key": KEYS[1]}):
        assert (await client.post("/predict", data=BODY, headers=headers)).status == 200
    wrong: list[dict[str, str]] = [{}, {"X-API-Key": "guess"}, {"Authorization": f"Basic {KEYS[0]}"}]
    for headers in wrong:
        response = await client.post("/predict", data=BODY, headers=headers)
        assert (response.status, response.headers["WWW-Authenticate"], response.content_type) == (
            401, "Bearer", "application/problem+json",
        )  # fmt: skip
        assert "no valid key" in (await response.json())["detail"]
    assert [(await client.get(path)).status for path in ("/model", "/models/history", "/nowhere")] == [401] * 3
    for path in OPEN - {"/livez", "/readyz", "/metrics"}:
        assert (await client.get(path)).status == 200
    assert len(answered.groups) == 2
    assert {line["http_status"] for group in refused.groups for line in group} == {401}
    assert not any(key in json.dumps(refused.groups) for key in KEYS)


@pytest.mark.failure("F409")
async def test_a_stored_request_shows_who_sent_it(start: Start) -> None:
    """The name of the key and the client's address, also of a refused one. The key itself is not stored."""
    client, answered, refused = await start(names=NAMES)
    headers = {"X-API-Key": KEYS[1], "X-Request-ID": "theirs"}
    await client.post("/predict", data=BODY, headers=headers)
    await client.post("/predict", data=b"{", headers=headers)
    await client.post("/predict", data=BODY)
    (line,), (wrong,), (unknown,) = *answered.groups, *refused.groups
    for stored in (line, wrong):
        sender = stored["key_name"], stored["client_address"], stored["client_request_id"]
        assert sender == ("new", "127.0.0.1", "theirs")
    assert (unknown["key_name"], unknown["client_address"]) == (None, "127.0.0.1")


@pytest.mark.failure("F380")
async def test_an_empty_key_opens_nothing(start: Start) -> None:
    """Even if its digest were among the valid ones."""
    client, _, _ = await start(names={digest(""): "empty"})
    for headers in ({}, {"X-API-Key": ""}, {"Authorization": "Bearer "}):
        assert (await client.post("/predict", data=BODY, headers=headers)).status == 401


@pytest.mark.failure("F376")
async def test_a_page_of_another_origin_gets_a_problem(start: Start) -> None:
    """Before its key or its Idempotency-Key is looked at. Nothing is stored."""
    client, answered, refused = await start(names=NAMES)
    headers = {"Origin": "http://evil.test", "Idempotency-Key": "k", "X-Request-ID": "theirs", "traceparent": "t"}
    for path, error in (("/predict", {}), ("/v2/models/real_estate/infer", {"error": FOREIGN_PAGE})):
        response = await client.post(path, data=BODY, headers=headers)
        assert (response.status, response.content_type) == (403, "application/problem+json")
        problem = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": FOREIGN_PAGE, "errors": []}
        assert await response.json() == problem | error
        assert (response.headers["X-Request-ID"], response.headers["traceparent"]) == ("theirs", "t")
    assert (answered.groups, refused.groups) == ([], [])


@pytest.mark.failure("F133")
async def test_one_client_may_have_a_limited_number_of_requests_in_flight(start: Start) -> None:
    """Above the limit the response is 429 with Retry-After. After its requests have ended, it may send new ones."""
    client, answered, _ = await start(limit=1)
    answered.gate.clear()
    first = asyncio.create_task(client.post("/predict", data=BODY))
    await asyncio.wait_for(answered.entered.wait(), 5)
    response = await client.post("/predict", data=BODY)
    assert (response.status, response.headers["Retry-After"]) == (429, "2")
    assert (await client.get("/ping")).status == 200
    answered.gate.set()
    assert (await first).status == 200
    assert (await client.post("/predict", data=BODY)).status == 200


@pytest.mark.failure("F134")
async def test_a_body_that_does_not_arrive_in_time_is_refused(start: Start) -> None:
    """The response is 408. Other requests are answered meanwhile."""
    client, _, _ = await start(seconds=0.2)

    async def slowly() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await asyncio.sleep(30)

    slow = asyncio.create_task(client.post("/predict", data=slowly()))
    assert (await client.post("/predict", data=BODY)).status == 200
    response = await slow
    assert (response.status, (await response.json())["detail"]) == (408, "the body did not arrive in time: 0.2 s")


@pytest.mark.failure("F62")
async def test_an_incomplete_body_is_a_refusal(start: Start) -> None:
    """If the client disconnects, or if the body is not compressed as its header states, it is a client error."""
    client, answered, refused = await start()
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY[:50]))
    await writer.drain()
    writer.close()
    await asyncio.wait_for(refused.entered.wait(), 5)
    response = await client.post("/predict", data=BODY, headers={"Content-Encoding": "gzip"})
    assert response.status == 400
    lines = [line for group in refused.groups for line in group]
    assert [line["http_status"] for line in lines] == [400, 400]
    assert [line["reason"].partition(": ")[0] for line in lines] == [INCOMPLETE, WRONG_ENCODING]
    assert answered.groups == []


async def test_a_body_may_arrive_in_pieces(start: Start) -> None:
    """If all of them arrive in time."""
    client, _, _ = await start()

    async def pieces() -> AsyncIterator[bytes]:
        for position in range(0, len(BODY), 50):
            yield BODY[position : position + 50]
            await asyncio.sleep(0.001)

    assert (await client.post("/predict", data=pieces())).status == 200


async def test_each_response_has_the_requests_id(start: Start) -> None:
    """The client's id, or else the generated one, which is also in the journal. A trace is sent back."""
    client, answered, refused = await start()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    response = await client.post("/predict", data=BODY, headers={"traceparent": trace})
    assert response.headers["traceparent"] == trace
    request_id = (await response.json())["request_id"]
    assert response.headers["X-Request-ID"] == request_id == answered.groups[0][0]["request_id"]
    theirs = await client.post("/predict", data=BODY, headers={"X-Request-ID": "theirs"})
    assert theirs.headers["X-Request-ID"] == "theirs"
    bad = await client.post("/predict", data=b"{")
    assert bad.headers["X-Request-ID"] == refused.groups[0][0]["request_id"]


@pytest.mark.parametrize(("items_limit", "explain_limit"), [(1_000, MAX_EXPLAINED_ITEMS), (3, 3)])
async def test_explain_accepts_fewer_items_than_predict(start: Start, items_limit: int, explain_limit: int) -> None:
    """The lower of the two limits counts."""
    client, _, _ = await start(items=items_limit)
    response = await client.post("/explain", json=[DATASET.example] * (explain_limit + 1))
    detail = f"{explain_limit + 1} items; one request may have {explain_limit}"
    assert (response.status, (await response.json())["detail"]) == (422, detail)


async def test_the_root_leads_to_the_page(start: Start) -> None:
    """By a relative location, which also works behind a proxy with a path of its own. It needs no key."""
    client, _, _ = await start(names=NAMES)
    response = await client.get("/", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "docs")
    assert (await client.get("/")).content_type == "text/html"


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/predict", 405, "GET is not possible on this path: use POST (/docs has examples)"),
        ("DELETE", "/model", 405, "DELETE is not possible on this path: use GET (/docs has examples)"),
        ("POST", "/prediction", 404, "there is no such path: /docs shows all paths"),
    ],
)
async def test_a_wrong_path_or_method_gets_advice(
    start: Start, method: str, path: str, status: int, detail: str
) -> None:
    """What to use instead."""
    client, _, _ = await start()
    response = await client.request(method, path)
    assert (response.status, (await response.json())["detail"]) == (status, detail)
    assert ("Allow" in response.headers) == (status == 405)


async def test_a_body_of_another_path_gets_advice(start: Start) -> None:
    """On each path that takes bodies, whatever the Content-Type."""
    client, _, _ = await start()
    row = DATASET.example
    wrong = {
        "/predict": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "/explain": {"data": [row]},
        "/invocations": [row],
        "/v2/models/real_estate/infer": {"instances": [row]},
    }
    for path, body in wrong.items():
        for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/csv"}):
            response = await client.post(path, data=json.dumps(body), headers=headers)
            assert response.status == 422
            assert "send " in (await response.json())["detail"]


MANY_BEDS = {**DATASET.example, "bed": 30}
WARNING = f"30 is outside 1 .. {MOST_BEDS}, what the model has learnt"


def tensors(row: Mapping[str, object]) -> dict[str, object]:
    """A request of the Open Inference Protocol."""
    columns = [{**tensor, "shape": [1], "data": [row[tensor["name"]]]} for tensor in input_tensors(DATASET)]
    return {"inputs": columns}


async def test_a_price_has_its_interval(start: Start) -> None:
    """And the share of prices that such intervals contain. Both are stored with the request."""
    client, journal, _ = await start(calibration=CALIBRATION)
    response = await client.post("/predict", json=DATASET.example)
    (item,) = (await response.json())["predictions"]
    price = math.exp(DATASET.example["bed"] + 1)
    expected = {"price": price, "low": price * math.exp(-0.2), "high": price * math.exp(0.2), "coverage": 0.8}
    assert item == pytest.approx(expected)
    ((line,),) = journal.groups
    stored = {"price": line["items"][0]["prediction"], **{k: line["items"][0][k] for k in ("low", "high", "coverage")}}
    assert stored == item


CALIBRATION = Calibration(edges=[], quantiles=[[2.0] * 50], rows=1_000)
INFER = "/v2/models/real_estate/infer"


async def test_the_other_protocols_have_intervals_as_an_option(start: Start) -> None:
    """MLflow's by a parameter, the other one by the names of outputs. Without it they answer as before."""
    client, _, _ = await start(calibration=CALIBRATION)
    body = {"instances": [DATASET.example]}
    (plain,) = (await (await client.post("/invocations", json=body)).json())["predictions"]
    asked = await client.post("/invocations", json={**body, "params": {"interval": True, "other": 1}})
    (item,) = (await asked.json())["predictions"]
    assert isinstance(plain, float)
    assert item == {"price": plain, "low": pytest.approx(plain * math.exp(-0.2)), "high": item["high"], "coverage": 0.8}
    names = ["high", "price", "low"]
    inferred = await client.post(
        INFER, json={**tensors(DATASET.example), "outputs": [{"name": name} for name in names]}
    )
    outputs = (await inferred.json())["outputs"]
    assert [(each["name"], each["shape"]) for each in outputs] == [(name, [1]) for name in names]
    assert [each["data"] for each in outputs] == [[item["high"]], [plain], [item["low"]]]
    (only,) = (await (await client.post(INFER, json=tensors(DATASET.example))).json())["outputs"]
    assert (only["name"], only["data"]) == ("price", [plain])


@pytest.mark.parametrize(
    ("path", "extra", "calibration", "detail"),
    [
        ("/invocations", {"params": {"interval": True}}, None, "the served version has no intervals: "),
        ("/invocations", {"params": {"interval": "yes"}}, CALIBRATION, "params must be an object, and its interval"),
        ("/invocations", {"params": 7}, CALIBRATION, "params must be an object, and its interval true or false"),
        (INFER, {"outputs": [{"name": "low"}]}, None, "the served version has no intervals: "),
        (INFER, {"outputs": [{"name": "lo"}]}, CALIBRATION, "outputs must be a list of tensors"),
        (INFER, {"outputs": ["low"]}, CALIBRATION, "outputs must be a list of tensors"),
    ],
)
async def test_intervals_that_cannot_be_given_are_refused(
    start: Start, path: str, extra: Mapping[str, object], calibration: Calibration | None, detail: str
) -> None:
    """These protocols have no place for a reason beside a prediction. Nothing is stored as answered."""
    client, answered, _ = await start(calibration=calibration)
    body = {"instances": [DATASET.example]} if path == "/invocations" else tensors(DATASET.example)
    response = await client.post(path, json={**body, **extra})
    assert (response.status, (await response.json())["detail"][: len(detail)]) == (422, detail)
    assert answered.groups == []


async def test_an_answer_says_that_there_is_no_interval(start: Start) -> None:
    """Too few rows calibrated the model: a finite interval would promise more than they can show."""
    client, _, _ = await start(calibration=Calibration(edges=[], quantiles=[[None] * 50], rows=3))
    (item,) = (await (await client.post("/predict", json=DATASET.example)).json())["predictions"]
    assert (item["low"], item["high"], item["coverage"]) == (None, None, None)
    assert item["no_interval"] == "the model was calibrated on too few rows, or by an earlier release"


async def test_an_unusual_value_is_answered_with_a_warning(start: Start) -> None:
    """On its item. The others have none."""
    client, _, _ = await start()
    response = await client.post("/predict", json=[DATASET.example, MANY_BEDS])
    usual, unusual = (await response.json())["predictions"]
    assert usual.keys() == {"price", "low", "high", "coverage", "no_interval"}
    assert (unusual["price"], unusual["warnings"]) == (math.exp(31), [{"field": "bed", "message": WARNING}])


async def test_the_other_protocols_have_one_text_with_the_warnings(start: Start) -> None:
    """In a header, and in the parameters of the response. Without warnings there is neither."""
    client, _, _ = await start()
    text = f"item 0: bed {WARNING}"
    for row, expected in ((MANY_BEDS, text), (DATASET.example, None)):
        invoked = await client.post("/invocations", json={"instances": [row]})
        assert (invoked.status, invoked.headers.get("X-Warnings")) == (200, expected)
        assert (await invoked.json()).keys() == {"predictions"}
        inferred = await (await client.post("/v2/models/real_estate/infer", json=tensors(row))).json()
        assert inferred.get("parameters") == ({"warnings": expected} if expected else None)


async def test_a_strict_service_refuses_an_unusual_value(start: Start) -> None:
    """On every path, with the text of the warning. The refusal is stored, and no price."""
    client, answered, refused = await start(strict=True)
    bodies = {
        "/predict": [MANY_BEDS],
        "/explain": MANY_BEDS,
        "/invocations": {"instances": [MANY_BEDS]},
        "/v2/models/real_estate/infer": tensors(MANY_BEDS),
    }
    for path, body in bodies.items():
        response = await client.post(path, json=body)
        problem = await response.json()
        assert (response.status, problem["errors"]) == (422, [{"item": 0, "field": "bed", "message": WARNING}])
        assert "STRICT=1 refuses it" in problem["detail"]
    assert (len(answered.groups), len(refused.groups)) == (0, len(bodies))
    assert (await client.post("/predict", data=BODY)).status == 200


async def test_a_price_that_is_not_finite_is_not_sent(start: Start) -> None:
    """A value that is a valid number may make the model exceed all numbers."""
    client, answered, _ = await start()
    response = await client.post("/predict", json={**DATASET.example, "bed": 710})
    assert (response.status, answered.groups) == (500, [])
