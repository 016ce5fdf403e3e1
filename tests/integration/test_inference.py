"""Inference on real Kafka, MariaDB and MLflow: responses, stored requests, and model swaps under load."""

import json
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import mlflow
import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from support.disk import CannotMount, small_disk
from support.http import JOURNAL, metric
from support.inference import Inference, Reply, call
from support.models import METRICS
from support.testbed import Testbed, http_status, wait_until
from veleta.adapters.mysql import mysql_engine
from veleta.events.catalogue import RecordDeadlettered
from veleta.tables import dataset_tables
from veleta_local.run import Run

CLIENTS = 4
DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"this is no model"),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "missing": lambda path: path.rename(path.with_name("other.txt")),
}
FULL_KILOBYTES = 1024
"""With less free space than this, a disk counts as full."""


@pytest.mark.failure("F48")
def test_without_a_promotion_there_are_no_prices(backing: Run, tmp_path: Path) -> None:
    """503 with a reason and Retry-After on every path that needs a model, until the first promotion."""
    testbed = Testbed(backing, tmp_path)
    assert testbed.prepare().returncode == 0
    inference = Inference(testbed)
    inference.start()
    try:
        reason = "no model yet: no training has started"
        wait_until(lambda: inference.readiness().json["waits_for"].get("model") == reason, what=reason)
        unready = [call(f"{inference.process.url}/{path}") for path in ("ping", "v2/health/ready")]
        for reply in (inference.predict(inference.example()), inference.model(), *unready):
            assert (reply.status, reply.headers["Content-Type"]) == (503, "application/problem+json")
            assert reason in reply.json["detail"]
            assert int(reply.headers["Retry-After"]) > 0
        history = call(f"{inference.process.url}/models/history").json
        assert (history["serving"], history["promotions"]) == (None, [])
        inference.models.promote()
        inference.process.wait_until_ready(20)
        assert inference.predict(inference.example()).status == 200
        assert len(inference.stored()) == 1
    finally:
        inference.stop()


def test_a_request_is_stored_once(inference: Inference) -> None:
    """The table has the price of the response, the version, the times and the client's id."""
    reply = inference.predict(inference.example(), name="mine \t 1é" + "x" * 300)
    assert reply.status == 200
    assert reply.headers["X-Model-Version"] == str(reply.json["model"]["version"])
    assert reply.json["model"]["name"] == inference.testbed.dataset.name
    (row,) = inference.stored(request_id=reply.json["request_id"])
    assert row["client_request_id"] == reply.headers["X-Request-ID"]
    assert row["client_request_id"].startswith("mine ")
    assert len(row["client_request_id"]) == 255
    assert (row["item"], row["prediction"], row["http_status"]) == (0, reply.price, 200)
    assert row["model_version"] == reply.json["model"]["version"]
    assert (row["city"], row["bed"], row["prev_sold_date"]) == ("East Windsor", 4.0, date(1999, 9, 30))
    assert row["received_at"] <= row["answered_at"] <= datetime.utcnow()  # noqa: DTZ003 - the table's times are naive UTC
    assert 0 <= row["latency_ms"] < 1000


def test_predictions_have_the_order_of_the_items(inference: Inference) -> None:
    """One request has one version, and one row per item."""
    items = [inference.example(house_size=size) for size in (1700.0, 2500.0, 3200.0)]
    reply = inference.predict(items)
    rows = inference.stored(request_id=reply.json["request_id"])
    assert [row["item"] for row in rows] == [0, 1, 2]
    assert [row["house_size"] for row in rows] == [1700.0, 2500.0, 3200.0]
    assert [row["prediction"] for row in rows] == [p["price"] for p in reply.json["predictions"]]


@pytest.mark.failure("F63")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bed": "4"}, "bed"),
        ({"bed": None}, "bed"),
        ({"bed": float("nan")}, "bed"),
        ({"house_size": -1}, "house_size"),
        ({"city": 5}, "city"),
        ({"city": "x" * 256}, "city"),
        ({"prev_sold_date": "yesterday"}, "prev_sold_date"),
        ({"beds": 4}, "beds"),
        ({"price": None}, "price"),
        ({"price": "much"}, "price"),
    ],
)
def test_a_bad_field_is_named(inference: Inference, changes: dict[str, object], field: str) -> None:
    """By problem+json, with the item and the field."""
    reply = inference.predict([inference.example(), inference.example(**changes)])
    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")
    assert [(e["item"], e["field"]) for e in reply.json["errors"]] == [(1, field)]
    assert reply.json["status"] == 422


def test_a_missing_field_is_named(inference: Inference) -> None:
    """All columns that the model uses are required."""
    reply = inference.predict({})
    named = [e["field"] for e in reply.json["errors"]]
    assert reply.status == 422
    assert named == [c.name for c in inference.testbed.dataset.inputs if c.is_feature]


def test_a_wrong_path_or_method_gets_a_problem(inference: Inference) -> None:
    """All errors have one format."""
    wrong = call(f"{inference.process.url}/predict")
    assert (wrong.status, wrong.headers["Allow"], wrong.json["status"]) == (405, "POST", 405)
    assert call(f"{inference.process.url}/nowhere").json["status"] == 404


@pytest.mark.failure("F136")
def test_a_refused_request_is_stored_in_its_own_table(inference: Inference) -> None:
    """With the reason and the beginning of its body. The table of answered requests has nothing of it."""
    before = len(inference.stored())
    time.sleep(1)  # the tests before this one may have filled the second
    inference.predict([inference.example(), inference.example(bed=None)], name="refused")
    inference.predict(b"\xff" * 5_000, name="no text")
    inference.predict(inference.example())
    assert len(inference.stored()) == before + 1
    refused = dataset_tables(inference.testbed.dataset).refused
    rows = {row.client_request_id: row for row in inference.testbed.sql(sa.select(refused))}
    invalid, binary = rows["refused"], rows["no text"]
    assert (invalid.path, invalid.http_status, invalid.reason) == ("/predict", 422, "bed must not be null")
    assert json.loads(invalid.body) == [inference.example(), inference.example(bed=None)]
    assert (binary.http_status, binary.body) == (400, r"\xff" * 4096)


def test_an_unknown_city_has_a_price(inference: Inference) -> None:
    """A category that the training data do not have is valid."""
    reply = inference.predict(inference.example(city="Macondo", state="Magdalena"))
    assert reply.status == 200
    assert reply.price > 0


def test_a_value_out_of_bounds_gets_a_warning_or_is_refused(inference: Inference) -> None:
    """The bounds of the dataset file count also for a model that does not say what it has learnt."""
    message = "1e+308 is outside 1 .. 30, the bounds of the dataset file"
    item = inference.example(bed=1e308)
    reply = inference.predict(item)
    assert (reply.status, reply.price > 0) == (200, True)
    assert reply.json["predictions"][0]["warnings"] == [{"field": "bed", "message": message}]
    (explanation,) = call(f"{inference.process.url}/explain", json.dumps(item).encode()).json["explanations"]
    assert explanation["warnings"] == [{"field": "bed", "message": message}]
    with inference.second_process(strict=1) as strict:
        refused = call(f"{strict.url}/predict", json.dumps([inference.example(), item]).encode())
        assert (refused.status, refused.json["errors"]) == (422, [{"item": 1, "field": "bed", "message": message}])
        assert call(f"{strict.url}/predict", json.dumps(inference.example()).encode()).status == 200


def test_the_target_is_stored_and_not_used(inference: Inference) -> None:
    """The price is the same with and without it, and whatever its value."""
    without = inference.example()
    del without["price"]
    replies = [
        inference.predict(item) for item in (without, inference.example(price=1.0), inference.example(price=9e9))
    ]
    assert len({reply.price for reply in replies}) == 1
    stored = [inference.stored(request_id=reply.json["request_id"])[0]["price"] for reply in replies]
    assert stored == [None, 1.0, 9e9]


def test_model_shows_the_served_version_and_its_causes(inference: Inference) -> None:
    """The promotion event contains the causes."""
    version = inference.models.promote()
    inference.wait_until_serving(version)
    model = inference.model().json
    assert (model["name"], model["run_id"]) == (inference.testbed.dataset.name, version.run_id)
    assert (model["promotion_seq"], model["metrics"]) == (inference.models.seq, METRICS)
    assert model["causes"]["batches"] == ["b"]
    assert datetime.fromisoformat(model["promoted_at"]) <= datetime.fromisoformat(model["loaded_at"])
    history = call(f"{inference.process.url}/models/history").json
    assert (history["name"], history["serving"]) == (inference.testbed.dataset.name, inference.models.seq)
    assert history["promotions"][0] == {name: model[name] for name in history["promotions"][0]}
    assert [each["promotion_seq"] for each in history["promotions"]] == list(range(inference.models.seq, 0, -1))


@pytest.mark.failure("F47", "F283")
def test_no_request_fails_during_a_promotion(inference: Inference) -> None:
    """Clients post during model swaps, also for explanations. Each request gets the price of a promoted model, and is
    stored once.
    """
    started, stopped = threading.Barrier(CLIENTS + 1), threading.Event()

    items = [inference.example(), inference.example(city="Elsewhere")]

    def post(number: int) -> Reply:
        if number:
            return inference.predict(items)
        return call(f"{inference.process.url}/explain", json.dumps(items).encode())

    def client(number: int) -> list[Reply]:
        replies = [post(number)]
        started.wait()
        while not stopped.is_set():
            replies.append(post(number))
        return [*replies, post(number)]

    numbers = [inference.model().json["version"]]
    with ThreadPoolExecutor(CLIENTS) as pool:
        posting = pool.map(client, range(CLIENTS))
        started.wait()
        for scale in (2.0, 3.0, 1.5, 2.5, 1.0):
            version = inference.models.promote(scale)
            inference.wait_until_serving(version)
            numbers.append(version.number)
        stopped.set()
        replies = [reply for of_client in posting for reply in of_client]
    assert Counter(reply.status for reply in replies) == {200: len(replies)}
    rows = [inference.testbed.dataset.convert(row)[0] for row in items]
    predicted = {(reply.json["model"]["version"], *reply.prices) for reply in replies}
    assert predicted == {(number, *inference.models.prices(number, rows)) for number in numbers}
    _assert_stored_once(inference, replies)


@pytest.mark.failure("F20", "F281")
@pytest.mark.parametrize("fault", ["garbage", "truncated", "missing"])
def test_a_broken_model_is_not_swapped_in(inference: Inference, fault: str) -> None:
    """The old one stays, and /readyz stays 200 but shows the reason. The promotion is dead-lettered once."""
    before, letters = inference.model().json["version"], len(_promotion_letters(inference))
    broken = inference.models.promote(damage=DAMAGES[fault])
    wait_until(lambda: f"version {broken.number} is refused" in inference.readiness().json["doing"], what="it is shown")
    readiness = inference.readiness()
    assert (readiness.status, readiness.json["waits_for"]) == (200, {})
    assert inference.predict(inference.example()).json["model"]["version"] == before
    wait_until(lambda: len(_promotion_letters(inference)) > letters, what="it is dead-lettered")
    inference.wait_until_serving(inference.models.promote())
    assert [letter.service for letter in _promotion_letters(inference)[letters:]] == ["inference"]


def _promotion_letters(inference: Inference) -> list[RecordDeadlettered]:
    topic = f"{inference.testbed.dataset.name}.models"
    return [letter for letter in inference.dead_letters() if letter.topic == topic]


@pytest.mark.failure("F19")
def test_a_promotion_without_an_event_is_served(inference: Inference) -> None:
    """The alias was moved. The next check of the registry finds it."""
    version = inference.models.register()
    inference.models.seq += 1
    inference.models.set_champion(version, inference.models.seq)
    inference.wait_until_serving(version)
    model = inference.model().json
    assert (model["promotion_seq"], model["causes"], model["promoted_at"]) == (inference.models.seq, None, None)


def test_a_price_is_explained(inference: Inference) -> None:
    """By a base price and the contribution of each feature. The request is stored as every other."""
    items = [inference.example(), inference.example(house_size=2_500.0)]
    reply = call(f"{inference.process.url}/explain", json.dumps(items).encode())
    assert reply.status == 200
    prices = [each["price"] for each in inference.predict(items).json["predictions"]]
    for price, explanation in zip(prices, reply.json["explanations"], strict=True):
        assert explanation["price"] == price
        assert price == pytest.approx(explanation["base"] + sum(explanation["contributions"].values()))
        assert set(explanation["contributions"]) <= set(inference.testbed.dataset.names)
    assert [row["prediction"] for row in inference.stored(request_id=reply.json["request_id"])] == prices
    assert call(f"{inference.process.url}/explain", json.dumps([{}]).encode()).status == 422


def test_mlflows_protocol_returns_the_same_price(inference: Inference) -> None:
    """In each of its forms, and each request is stored. tests/e2e compares with MLflow's own server."""
    row = inference.example()
    price = inference.predict(row).price
    forms: list[dict[str, Any]] = [
        {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        {"dataframe_records": [row]},
        {"instances": [row]},
        {"inputs": {name: [value] for name, value in row.items()}},
    ]
    before = len(inference.stored())
    replies = [call(f"{inference.process.url}/invocations", json.dumps(form).encode()) for form in forms]
    assert [reply.json for reply in replies] == [{"predictions": [price]}] * len(forms)
    assert len(inference.stored()) == before + len(forms)
    bad = call(f"{inference.process.url}/invocations", b'{"instances": [{"bed": 4}]}')
    assert (bad.status, {error["message"] for error in bad.json["errors"]}) == (422, {"is required"})
    assert call(f"{inference.process.url}/ping").status == call(f"{inference.process.url}/health").status == 200
    assert call(f"{inference.process.url}/version").text == mlflow.__version__


def test_the_open_inference_protocol_returns_the_same_price(inference: Inference) -> None:
    """From one tensor per column. Another model, or a version that is not served, is not found."""
    row, name = inference.example(), inference.testbed.dataset.name
    price, version = inference.predict(row).price, inference.model().json["version"]
    model = f"{inference.process.url}/v2/models/{name}"
    metadata = call(model).json
    assert (metadata["name"], metadata["versions"]) == (name, [str(version)])
    inputs = [{**each, "shape": [1], "data": [row[each["name"]]]} for each in metadata["inputs"]]
    body = json.dumps({"id": "mine", "inputs": inputs}).encode()
    output = {"name": "price", "datatype": "FP64", "shape": [1], "data": [price]}
    for path in (model, f"{model}/versions/{version}"):
        assert call(f"{path}/ready").json == {"name": name, "ready": True}
        assert call(f"{path}/infer", body).json == {
            "id": "mine", "model_name": name, "model_version": str(version), "outputs": [output],
        }  # fmt: skip
    for path in (f"{model}/versions/{version + 1}", f"{inference.process.url}/v2/models/other"):
        assert [call(path).status, call(f"{path}/ready").status, call(f"{path}/infer", body).status] == [404] * 3
    for path in ("v2", "v2/health/live", "v2/health/ready"):
        assert call(f"{inference.process.url}/{path}").status == 200


def test_an_open_inference_client_works(inference: Inference) -> None:
    """NVIDIA's client, with data in JSON. It finds the model, and gets the prices of /predict."""
    rows = [inference.example(), inference.example(house_size=3_000.0, city="Macondo")]
    prices = [each["price"] for each in inference.predict(rows).json["predictions"]]
    name, version = inference.testbed.dataset.name, str(inference.model().json["version"])
    with triton.InferenceServerClient(urlsplit(inference.process.url).netloc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(name)
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["name"] == "veleta-inference"
        metadata = client.get_model_metadata(name)
        assert metadata["versions"] == [version]
        assert [each["name"] for each in metadata["outputs"]] == ["price", "low", "high"]
        inputs = [_tensor(each, [row[each["name"]] for row in rows]) for each in metadata["inputs"]]
        output = triton.InferRequestedOutput("price", binary_data=False)
        for options in ({}, {"model_version": version, "outputs": [output], "request_id": "mine"}):
            answer = client.infer(name, inputs, **options)
            assert answer.as_numpy("price").tolist() == prices
            assert answer.get_response()["model_version"] == version
        assert answer.get_response()["id"] == "mine"


def test_an_open_inference_client_shows_errors(inference: Inference) -> None:
    """A missing column, another version, and binary tensors, which are the client's default."""
    name = inference.testbed.dataset.name
    column = {"name": "bed", "datatype": "FP64"}
    bed, binary = _tensor(column, [4.0]), _tensor(column, [4.0], binary_data=True)
    with triton.InferenceServerClient(urlsplit(inference.process.url).netloc) as client:
        with pytest.raises(InferenceServerException, match=r"\[422\] .*house_size is required"):
            client.infer(name, [bed])
        with pytest.raises(InferenceServerException, match=r"\[404\] version \d+ is served"):
            client.infer(name, [bed], model_version="999")
        with pytest.raises(InferenceServerException, match=r"\[400\] binary tensors are not read: .*binary_data=False"):
            client.infer(name, [binary])


def _tensor(column: dict[str, Any], values: list[Any], *, binary_data: bool = False) -> triton.InferInput:
    tensor = triton.InferInput(column["name"], [len(values)], column["datatype"])
    dtype = np.float64 if column["datatype"] == "FP64" else np.object_
    tensor.set_data_from_numpy(np.array(values, dtype), binary_data)
    return tensor


@pytest.mark.failure("F121")
def test_an_old_promotion_is_ignored(inference: Inference) -> None:
    """A sequence number that is not higher changes nothing. A later promotion is served."""
    stale, fresh_testbed = inference.models.register(), inference.models.register()
    before = inference.model().json
    inference.models.announce(stale, seq=1)
    inference.models.announce(stale, seq=before["promotion_seq"] - 1)
    assert inference.model().json["version"] == before["version"]
    inference.models.decide(fresh_testbed)
    inference.wait_until_serving(fresh_testbed)


@pytest.mark.failure("F122")
def test_a_new_process_serves_the_same_version(inference: Inference) -> None:
    """Each process reads all promotions, without a consumer group."""
    other = inference.new_process()
    other.start()
    try:
        other.wait_until_ready()
        version = inference.model().json["version"]
        wait_until(lambda: call(f"{other.url}/model").json["version"] == version, what="it serves the newest one")
    finally:
        other.stop()


def test_its_mysql_user_may_only_insert_requests(inference: Inference) -> None:
    """It may neither read, change nor delete them."""
    name = f"{inference.testbed.prefix}RAW_DATA.new_{inference.testbed.dataset.name}"
    engine = mysql_engine(inference.testbed.mysql("inference"))
    for statement in (f"SELECT * FROM {name}", f"UPDATE {name} SET prediction = 1", f"DELETE FROM {name}"):
        with pytest.raises(OperationalError, match="denied"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.failure("F22", "F49")
def test_without_mysql_requests_are_answered_and_stored(inference: Inference) -> None:
    """/readyz names MySQL. After a kill meanwhile and a restart of MySQL, each request is stored once."""
    before = len(inference.stored())
    inference.proxy.cut()
    replies = [inference.predict(inference.example())]
    wait_until(lambda: "mysql" in inference.readiness().json["waits_for"], what="/readyz names MySQL")
    replies.append(inference.predict([inference.example(), inference.example(bed=2)]))
    inference.process.kill()
    inference.start()
    wait_until(lambda: inference.model().status == 200, 60, "a model is served")
    replies.append(inference.predict(inference.example()))
    inference.proxy.restore()
    inference.process.wait_until_ready(30)
    assert {reply.status for reply in replies} == {200}
    _assert_stored_once(inference, replies)
    assert len(inference.stored()) == before + 4


@pytest.fixture(params=["limit", "disk"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, object]]:
    """Settings of a journal that is soon full, because of its limit or its disk."""
    if request.param == "limit":
        yield {"journal": tmp_path / "small", "journal_limit": 10_000}
        return
    try:
        with small_disk(tmp_path / "disk", FULL_KILOBYTES + 16) as disk:
            yield {"journal": disk}
    except CannotMount as reason:
        pytest.skip(str(reason))


@pytest.mark.failure("F53")
def test_a_full_journal_sends_no_price(inference: Inference, small: dict[str, object]) -> None:
    """503 with the reason and Retry-After, and the service is not ready. It recovers when MySQL does."""
    before = len(inference.stored())
    inference.proxy.cut()
    full = inference.new_process(**small)
    full.start()
    body = json.dumps(inference.example()).encode()
    try:
        wait_until(lambda: http_status(f"{full.url}/model") == 200, 60, "a model is served")
        replies = [call(f"{full.url}/predict", body) for _ in range(100)]
        statuses = [reply.status for reply in replies]
        answered, refused = replies[: statuses.index(503)], replies[statuses.index(503) :]
        assert {reply.status for reply in answered} == {200}
        for reply in refused:
            assert reply.status == 503
            assert re.search("journal: (its disk is full|.* bytes wait in the folder answered)", reply.json["detail"])
            assert int(reply.headers["Retry-After"]) > 0
            assert "price" not in reply.text
        assert "journal" in call(f"{full.url}/readyz").json["waits_for"]
        inference.proxy.restore()
        wait_until(lambda: metric(full.url, JOURNAL) == 0, what="the journal is empty")
        answered.append(call(f"{full.url}/predict", body))
        full.wait_until_ready(5)
        wait_until(lambda: len(inference.stored()) == before + len(answered), what="the last one is stored")
        _assert_stored_once(inference, answered)
    finally:
        full.stop()


@pytest.mark.failure("F128")
def test_a_request_with_a_key_is_stored_once(inference: Inference) -> None:
    """A request that is repeated with its Idempotency-Key gets the same answer. The key is the id of its row."""
    items = [inference.example(), inference.example(bed=2)]
    first, again = inference.predict(items, key="mine-1"), inference.predict(items, key="mine-1")
    assert (first.status, first.text) == (200, again.text)
    rows = inference.stored(request_id="mine-1")
    assert [(row["bed"], row["prediction"]) for row in rows] == list(zip((4.0, 2.0), first.prices, strict=True))
    assert [row["answer"] is None for row in rows] == [False, True]


@pytest.mark.parametrize("key", ["x" * 37, "a b", "é"])
def test_an_invalid_key_is_refused(inference: Inference, key: str) -> None:
    """It does not fit the table."""
    reply = inference.predict(inference.example(), key=key)
    assert (reply.status, reply.headers["Content-Type"]) == (400, "application/problem+json")
    assert "Idempotency-Key: must be 1 to 36 visible ASCII characters" in reply.json["detail"]


@pytest.mark.failure("F127")
def test_a_row_that_mysql_refuses_is_dead_lettered(inference: Inference) -> None:
    """The rows that were inserted with it are stored."""
    where = f"{inference.testbed.prefix}RAW_DATA.new_{inference.testbed.dataset.name}"
    with inference.testbed.admin.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {where} ADD CONSTRAINT no_ys CHECK (city <> 'Ys')")
    items = [inference.example(city="Ys" if i == 7 else "Town") for i in range(16)]
    with ThreadPoolExecutor(len(items)) as pool:
        replies = list(pool.map(inference.predict, items))
    assert {reply.status for reply in replies} == {200}
    _assert_stored_once(inference, replies[:7] + replies[8:])
    assert inference.stored(city="Ys") == []

    def letters() -> list[RecordDeadlettered]:
        return [letter for letter in inference.dead_letters() if letter.topic.startswith("RAW_DATA")]

    wait_until(letters, what="the row is dead-lettered")
    (letter,) = letters()
    assert letter.first_key == replies[7].json["request_id"]
    assert "Ys" in letter.value


@pytest.mark.failure("F147")
def test_a_damaged_line_of_the_journal_is_dead_lettered(inference: Inference) -> None:
    """What a power failure leaves, with and without checksums. The lines around it are inserted, also those of the
    version before, and /readyz has a warning.
    """
    inference.proxy.cut()
    first = inference.predict(inference.example())
    inference.process.kill()
    (file,) = [path for path in (inference.testbed.folder / "journal/answered").rglob("*.lines") if path.stat().st_size]
    damaged = [b'{"request_id": "damaged"', b'{"request_id": "\xff"}', b"12345678 {}", b"\0" * 4096]
    sealed = file.read_bytes()
    unsealed = sealed[9:].replace(first.json["request_id"].encode(), b"earlier")
    file.write_bytes(b"".join(line + b"\n" for line in damaged) + unsealed + sealed + b"00000000 {torn")
    before = len(inference.dead_letters())
    inference.start()
    inference.proxy.restore()
    inference.process.wait_until_ready(60)
    _assert_stored_once(inference, [first, inference.predict(inference.example())])
    assert len(inference.stored(request_id="earlier")) == 1
    wait_until(lambda: len(inference.dead_letters()) == before + 4, what="the damaged lines are dead letters")
    values = [letter.value for letter in inference.dead_letters()[before:]]
    assert sorted(values) == sorted(line.decode(errors="backslashreplace") for line in damaged)
    (warning,) = inference.readiness().json["warnings"].values()
    assert "set aside since the start: 4 " in warning


@pytest.mark.failure("F125")
def test_a_request_is_stored_although_its_client_disconnects(inference: Inference) -> None:
    """Its response cannot be sent."""
    body = json.dumps(inference.example()).encode()
    address = urlsplit(inference.process.url)
    with socket.create_connection((address.hostname, address.port)) as gone:
        gone.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: gone\r\n")
        gone.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    wait_until(lambda: len(inference.stored(client_request_id="gone")) == 1, what="the request is stored")


@pytest.mark.failure("F25")
def test_a_stop_loses_nothing(inference: Inference) -> None:
    """Each price that was sent is in the table, and the exit code is 0.

    Other requests are refused, or their connections are closed without a response: the kernel resets those that were
    not accepted.
    """
    stopped = inference.new_process()
    stopped.start()
    stopped.wait_until_ready()
    body = json.dumps(inference.example()).encode()
    started = threading.Event()

    def client(_number: int) -> list[Reply]:
        replies = []
        while True:
            try:
                replies.append(call(f"{stopped.url}/predict", body))
            except (URLError, ConnectionError):
                return replies
            started.set()

    with ThreadPoolExecutor(CLIENTS) as pool:
        posting = pool.map(client, range(CLIENTS))
        started.wait()
        code = stopped.stop()
        replies = [reply for of_client in posting for reply in of_client]
    assert code == 0
    assert {reply.status for reply in replies} == {200}
    _assert_stored_once(inference, replies)


def _assert_stored_once(inference: Inference, replies: list[Reply]) -> None:
    """Check that the table has the rows of each response, with its version and prices."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in inference.stored():
        rows.setdefault(row["request_id"], []).append(row)
    for reply in replies:
        stored = rows[reply.json["request_id"]]
        assert [row["prediction"] for row in stored] == reply.prices
        assert {row["model_version"] for row in stored} == {reply.json["model"]["version"]}
