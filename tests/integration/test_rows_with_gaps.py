"""Prices of houses of which little is known, on real Kafka, MariaDB and MLflow."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.inference import Inference, Reply, call
from support.listings import OFTEN_EMPTY, api_rows
from support.testbed import Testbed
from veleta.dataset import Row, load_dataset

KNOWN = {"city": "Orlando", "state": "Florida", "zip_code": "32801"}
REQUIRED = [*KNOWN, "price"]


@pytest.fixture(scope="module")
def dataset_text() -> str:
    """The dataset whose rows may have gaps."""
    return load_dataset("listings").text


def rows_with_gaps() -> list[Row]:
    """Every second row lacks what is often not known."""
    rows = [row for place in range(6) for row in api_rows(place, 300, 3)]
    return [{**row, **dict.fromkeys(OFTEN_EMPTY)} if n % 2 else row for n, row in enumerate(rows)]


@pytest.fixture(scope="module")
def inference(testbed: Testbed) -> Iterator[Inference]:
    """It serves a version that learnt from rows with gaps."""
    started = Inference(testbed)
    started.start()
    try:
        started.models.decide(started.models.register(rows=rows_with_gaps()))
        started.process.wait_until_ready()
        yield started
    finally:
        started.stop()


def post(inference: Inference, path: str, body: object, name: str) -> Reply:
    """Send a request under this name."""
    reply = call(f"{inference.process.url}{path}", json.dumps(body).encode(), {"X-Request-ID": name})
    assert reply.status == 200, reply.text
    return reply


def tensors(row: dict[str, str]) -> dict[str, Any]:
    """A row as a request of the Open Inference Protocol."""
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in row.items()]
    return {"inputs": inputs}


def test_a_city_a_state_and_a_zip_code_suffice_in_all_protocols(inference: Inference) -> None:
    """One price, with warnings that name all else. Each request is stored once, with NULL for what was not given."""
    name = inference.testbed.dataset.name
    plain = post(inference, "/predict", KNOWN, "plain")
    nulls = post(inference, "/predict", {**KNOWN, "bed": None, "street": None}, "nulls")
    invoked = post(inference, "/invocations", {"dataframe_records": [KNOWN]}, "invoked")
    inferred = post(inference, f"/v2/models/{name}/infer", tensors(KNOWN), "inferred")
    explained = post(inference, "/explain", KNOWN, "explained")

    warned = [warning["field"] for warning in plain.json["predictions"][0]["warnings"]]
    assert sorted(warned) == sorted(set(inference.testbed.dataset.names) - {*REQUIRED})
    texts = [invoked.headers["X-Warnings"], inferred.json["parameters"]["warnings"]]
    assert all(f"{field} was not given" in text for field in warned for text in texts)
    prices = [plain.price, nulls.price, *invoked.json["predictions"], inferred.json["outputs"][0]["data"][0]]
    assert prices == [plain.price] * 4
    found = explained.json["explanations"][0]
    assert found["base"] + sum(found["contributions"].values()) == pytest.approx(plain.price)
    assert found["contributions"].keys() >= {"house_size", "missing_values"}
    for request in ("plain", "nulls", "invoked", "inferred", "explained"):
        (stored,) = inference.stored(client_request_id=request)
        assert [stored[field] for field in warned] == [None] * len(warned)
        assert (stored["city"], stored["zip_code"], stored["prediction"]) == ("Orlando", 32801.0, plain.price)


def test_the_less_is_known_the_wider_is_the_interval(inference: Inference) -> None:
    """In relation to the price."""
    house = next(row for row in api_rows(0, 90, 4) if row["city"] == "Orlando")
    complete, incomplete = (post(inference, "/predict", row, "width").json["predictions"][0] for row in (house, KNOWN))
    assert incomplete["high"] / incomplete["low"] > 1.2 * complete["high"] / complete["low"]
    assert complete.get("warnings", []) == []
