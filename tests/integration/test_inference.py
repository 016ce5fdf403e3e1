"""Inference on real Kafka, MariaDB and MLflow: what it answers, what it keeps, and what a swap does to its clients."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
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
from support.world import World, eventually, http_status
from veleta.adapters.mysql import mysql_engine
from veleta.tables import dataset_tables
from veleta_local.run import Run

CLIENTS = 4
FULL_KILOBYTES = 1024
"""With less than this free a disk counts as full."""


@pytest.mark.failure("F48")
def test_before_any_promotion_the_answer_says_so(backing: Run, tmp_path: Path) -> None:
    """503 with a reason and when to come back, on every page that needs a model; the first promotion ends it."""
    world = World(backing, tmp_path)
    assert world.prepare().returncode == 0
    inference = Inference(world)
    inference.start()
    try:
        unready = [call(f"{inference.process.url}/{path}") for path in ("ping", "v2/health/ready")]
        for reply in (inference.predict(inference.example()), inference.model(), *unready):
            assert (reply.status, reply.headers["Content-Type"]) == (503, "application/problem+json")
            assert "no version is promoted yet" in reply.json["detail"]
            assert int(reply.headers["Retry-After"]) > 0
        history = call(f"{inference.process.url}/models/history").json
        assert (history["serving"], history["promotions"]) == (None, [])
        assert inference.readiness().json["waits_for"]["model"] == "no version is promoted yet"
        inference.models.promote()
        inference.process.ready(20)
        assert inference.predict(inference.example()).status == 200
        assert len(inference.stored()) == 1
    finally:
        inference.stop()


def test_the_example_is_answered_and_kept_once(inference: Inference) -> None:
    """What the client was told is what the table says, with its version, its times and the client's own name."""
    reply = inference.predict(inference.example(), name="mine \t 1é" + "x" * 300)
    assert reply.status == 200
    assert reply.headers["X-Model-Version"] == str(reply.json["model"]["version"])
    assert reply.json["model"]["name"] == inference.world.dataset.name
    (row,) = inference.stored(request_id=reply.json["request_id"])
    assert row["client_request_id"] == reply.headers["X-Request-ID"]
    assert row["client_request_id"].startswith("mine ")
    assert len(row["client_request_id"]) == 255
    assert (row["item"], row["prediction"], row["http_status"]) == (0, reply.price, 200)
    assert row["model_version"] == reply.json["model"]["version"]
    assert (row["city"], row["bed"], row["prev_sold_date"]) == ("East Windsor", 4.0, date(1999, 9, 30))
    assert row["received_at"] <= row["answered_at"] <= datetime.utcnow()  # noqa: DTZ003 - the table's times are naive UTC
    assert 0 <= row["latency_ms"] < 1000


def test_a_list_is_answered_in_its_order(inference: Inference) -> None:
    """One request, one version, a row for each item."""
    said = [inference.example(house_size=size) for size in (1700.0, 2500.0, 3200.0)]
    reply = inference.predict(said)
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
    """problem+json, with the item and the field."""
    reply = inference.predict([inference.example(), inference.example(**changes)])
    assert (reply.status, reply.headers["Content-Type"]) == (422, "application/problem+json")
    assert [(e["item"], e["field"]) for e in reply.json["errors"]] == [(1, field)]
    assert reply.json["status"] == 422


def test_a_missing_field_is_named(inference: Inference) -> None:
    """All columns but the target are required."""
    reply = inference.predict({})
    named = [e["field"] for e in reply.json["errors"]]
    assert reply.status == 422
    assert named == [c.name for c in inference.world.dataset.inputs]


def test_a_wrong_path_or_method_is_told_as_a_problem(inference: Inference) -> None:
    """Whoever parses the errors of one page can parse them all."""
    wrong = call(f"{inference.process.url}/predict")
    assert (wrong.status, wrong.headers["Allow"], wrong.json["status"]) == (405, "POST", 405)
    assert call(f"{inference.process.url}/nowhere").json["status"] == 404


@pytest.mark.failure("F63")
def test_a_refused_request_is_kept_apart(inference: Inference) -> None:
    """Nothing of it is among those that were answered; its reason and what of its body was read is in its own table."""
    before = len(inference.stored())
    time.sleep(1)  # the tests before this one may have filled the second
    inference.predict([inference.example(), inference.example(bed=None)], name="refused")
    inference.predict(b"\xff" * 5_000, name="no text")
    inference.predict(inference.example())
    assert len(inference.stored()) == before + 1
    refused = dataset_tables(inference.world.dataset).refused
    rows = {row.client_request_id: row for row in inference.world.sql(sa.select(refused))}
    said, rubbish = rows["refused"], rows["no text"]
    assert (said.path, said.http_status, said.reason) == ("/predict", 422, "bed must not be null")
    assert json.loads(said.body) == [inference.example(), inference.example(bed=None)]
    assert (rubbish.http_status, rubbish.body) == (400, r"\xff" * 4096)


def test_an_unseen_city_has_a_price(inference: Inference) -> None:
    """The market is larger than what the model has seen."""
    reply = inference.predict(inference.example(city="Macondo", state="Magdalena"))
    assert reply.status == 200
    assert reply.price > 0


def test_the_target_is_kept_and_not_used(inference: Inference) -> None:
    """The same price with and without it, and whatever it is."""
    bare = inference.example()
    del bare["price"]
    replies = [inference.predict(said) for said in (bare, inference.example(price=1.0), inference.example(price=9e9))]
    assert len({reply.price for reply in replies}) == 1
    kept = [inference.stored(request_id=reply.json["request_id"])[0]["price"] for reply in replies]
    assert kept == [None, 1.0, 9e9]


def test_model_tells_what_is_served_and_why(inference: Inference) -> None:
    """The whole chain of causes came with the promotion."""
    version = inference.models.promote()
    inference.wait_until_serving(version)
    said = inference.model().json
    assert (said["name"], said["run_id"]) == (inference.world.dataset.name, version.run_id)
    assert (said["promotion_seq"], said["metrics"]) == (inference.models.seq, METRICS)
    assert said["causes"]["batches"] == ["b"]
    assert datetime.fromisoformat(said["promoted_at"]) <= datetime.fromisoformat(said["loaded_at"])
    history = call(f"{inference.process.url}/models/history").json
    assert (history["name"], history["serving"]) == (inference.world.dataset.name, inference.models.seq)
    assert history["promotions"][0] == {name: said[name] for name in history["promotions"][0]}
    assert [each["promotion_seq"] for each in history["promotions"]] == list(range(inference.models.seq, 0, -1))


@pytest.mark.failure("F47")
def test_no_request_fails_during_a_promotion(inference: Inference) -> None:
    """Clients post without pause while models change: each is answered, and kept once, as the registry's model says."""
    begun, enough = threading.Barrier(CLIENTS + 1), threading.Event()

    said = [inference.example(), inference.example(city="Elsewhere")]

    def post() -> Reply:
        return inference.predict(said)

    def client(_number: int) -> list[Reply]:
        replies = [post()]
        begun.wait()
        while not enough.is_set():
            replies.append(post())
        return [*replies, post()]

    numbers = [inference.model().json["version"]]
    with ThreadPoolExecutor(CLIENTS) as pool:
        posting = pool.map(client, range(CLIENTS))
        begun.wait()
        for scale in (2.0, 3.0, 1.5, 2.5, 1.0):
            version = inference.models.promote(scale)
            inference.wait_until_serving(version)
            numbers.append(version.number)
        enough.set()
        replies = [reply for of_client in posting for reply in of_client]
    assert {reply.status for reply in replies} == {200}
    rows = [inference.world.dataset.convert(row)[0] for row in said]
    told = {(reply.json["model"]["version"], *(p["price"] for p in reply.json["predictions"])) for reply in replies}
    assert told == {(number, *inference.models.prices(number, rows)) for number in numbers}
    _each_is_kept_once(inference, replies)


@pytest.mark.failure("F20")
def test_a_broken_model_is_not_swapped_in(inference: Inference) -> None:
    """The old one serves on and /readyz stays 200, but says so; the promotion is a dead letter, once."""
    before = inference.model().json["version"]
    broken = inference.models.promote(garbage=b"this is no model")
    eventually(lambda: "refused" in inference.readiness().json["doing"], 20, "it is refused")
    said = inference.readiness()
    assert (said.status, said.json["waits_for"]) == (200, {})
    assert f"version {broken.number} is refused" in said.json["doing"]
    assert inference.predict(inference.example()).json["model"]["version"] == before
    letters = [
        letter for letter in inference.dead_letters() if letter.topic == f"{inference.world.dataset.name}.models"
    ]
    assert [letter.service for letter in letters] == ["inference"]
    inference.wait_until_serving(inference.models.promote())


@pytest.mark.failure("F19")
def test_a_lost_event_heals(inference: Inference) -> None:
    """The alias moved and nobody said so: the next look at the registry finds it."""
    version = inference.models.register()
    inference.models.seq += 1
    inference.models.set_champion(version, inference.models.seq)
    inference.wait_until_serving(version)
    said = inference.model().json
    assert (said["promotion_seq"], said["causes"], said["promoted_at"]) == (inference.models.seq, None, None)


def test_a_price_is_explained(inference: Inference) -> None:
    """By a base value and what each feature adds to it, in money; the request is kept as every other."""
    said = [inference.example(), inference.example(house_size=2_500.0)]
    reply = call(f"{inference.process.url}/explain", json.dumps(said).encode())
    assert reply.status == 200
    prices = [each["price"] for each in inference.predict(said).json["predictions"]]
    for price, told in zip(prices, reply.json["explanations"], strict=True):
        assert told["price"] == price == pytest.approx(told["base"] + sum(told["contributions"].values()))
        assert set(told["contributions"]) <= set(inference.world.dataset.names)
    assert [row["prediction"] for row in inference.stored(request_id=reply.json["request_id"])] == prices
    assert call(f"{inference.process.url}/explain", json.dumps([{}]).encode()).status == 422


def test_mlflows_protocol_gets_the_same_price(inference: Inference) -> None:
    """In each of its forms, kept as every request; tests/e2e compares with MLflow's own server."""
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


def test_the_open_inference_protocol_gets_the_same_price(inference: Inference) -> None:
    """From a tensor for each column; a version that is not served, or another model, is not found."""
    row, name = inference.example(), inference.world.dataset.name
    price, version = inference.predict(row).price, inference.model().json["version"]
    model = f"{inference.process.url}/v2/models/{name}"
    told = call(model).json
    assert (told["name"], told["versions"]) == (name, [str(version)])
    inputs = [{**each, "shape": [1], "data": [row[each["name"]]]} for each in told["inputs"]]
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


def test_an_open_inference_client_works_unchanged(inference: Inference) -> None:
    """NVIDIA's, with data in JSON: it finds the model, and gets the prices that /predict tells."""
    rows = [inference.example(), inference.example(house_size=3_000.0, city="Macondo")]
    prices = [each["price"] for each in inference.predict(rows).json["predictions"]]
    name, version = inference.world.dataset.name, str(inference.model().json["version"])
    with triton.InferenceServerClient(urlsplit(inference.process.url).netloc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(name)
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["name"] == "veleta-inference"
        about = client.get_model_metadata(name)
        assert (about["versions"], [each["name"] for each in about["outputs"]]) == ([version], ["price"])
        inputs = [_tensor(each, [row[each["name"]] for row in rows]) for each in about["inputs"]]
        output = triton.InferRequestedOutput("price", binary_data=False)
        for asked in ({}, {"model_version": version, "outputs": [output], "request_id": "mine"}):
            answer = client.infer(name, inputs, **asked)
            assert answer.as_numpy("price").tolist() == prices
            assert answer.get_response()["model_version"] == version
        assert answer.get_response()["id"] == "mine"


def test_an_open_inference_client_reads_our_errors(inference: Inference) -> None:
    """A column that is missing, another version, and tensors in binary, which is the client's default."""
    name = inference.world.dataset.name
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


@pytest.mark.failure("F19")
def test_a_stale_promotion_is_ignored(inference: Inference) -> None:
    """A sequence number not above its own changes nothing, and what comes after it counts."""
    stale, fresh = inference.models.register(), inference.models.register()
    before = inference.model().json
    inference.models.announce(stale, seq=1)
    inference.models.announce(stale, seq=before["promotion_seq"] - 1)
    assert inference.model().json["version"] == before["version"]
    inference.models.seq += 1
    inference.models.announce(fresh, inference.models.seq)
    inference.wait_until_serving(fresh)


def test_a_new_process_serves_what_the_old_one_served(inference: Inference) -> None:
    """Each reads the promotions from their beginning; no group keeps a place."""
    other = inference.new_process()
    other.start()
    try:
        other.ready()
        version = inference.model().json["version"]
        eventually(lambda: call(f"{other.url}/model").json["version"] == version, 20, "it came to the newest one")
    finally:
        other.stop()


def test_its_user_may_write_requests_and_nothing_else(inference: Inference) -> None:
    """What the service is not meant to do, its login cannot do."""
    name = f"{inference.world.prefix}RAW_DATA.new_{inference.world.dataset.name}"
    engine = mysql_engine(inference.world.mysql("inference"))
    for statement in (f"SELECT * FROM {name}", f"UPDATE {name} SET prediction = 1", f"DELETE FROM {name}"):
        with pytest.raises(OperationalError, match="denied"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.failure("F22", "F49")
def test_without_mysql_requests_are_answered_and_kept(inference: Inference) -> None:
    """/readyz says what is missing; a kill in that time loses nothing; with the database back, each is there once."""
    before = len(inference.stored())
    inference.proxy.cut()
    replies = [inference.predict(inference.example())]
    eventually(lambda: "mysql" in inference.readiness().json["waits_for"], 20, "/readyz says so")
    replies.append(inference.predict([inference.example(), inference.example(bed=2)]))
    inference.process.kill()
    inference.start()
    eventually(lambda: inference.model().status == 200, 60, "a model is served")
    replies.append(inference.predict(inference.example()))
    inference.proxy.restore()
    inference.process.ready(30)
    assert {reply.status for reply in replies} == {200}
    _each_is_kept_once(inference, replies)
    assert len(inference.stored()) == before + 4


@pytest.fixture(params=["limit", "disk"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, object]]:
    """Settings of a journal that is soon full, by its limit or by its disk."""
    if request.param == "limit":
        yield {"journal": tmp_path / "small", "journal_limit": 10_000}
        return
    try:
        with small_disk(tmp_path / "disk", FULL_KILOBYTES + 16) as disk:
            yield {"journal": disk}
    except CannotMount as reason:
        pytest.skip(str(reason))


@pytest.mark.failure("F21", "F53")
def test_a_full_journal_sends_no_price(inference: Inference, small: dict[str, object]) -> None:
    """503 that says what is missing and when to come back, /readyz too; with the database back, so is the service."""
    before = len(inference.stored())
    inference.proxy.cut()
    full = inference.new_process(**small)
    full.start()
    body = json.dumps(inference.example()).encode()
    try:
        eventually(lambda: http_status(f"{full.url}/model") == 200, 60, "a model is served")
        replies = [call(f"{full.url}/predict", body) for _ in range(100)]
        statuses = [reply.status for reply in replies]
        answered, refused = replies[: statuses.index(503)], replies[statuses.index(503) :]
        assert {reply.status for reply in answered} == {200}
        for reply in refused:
            assert reply.status == 503
            assert re.search("journal: (its disk is full|.* bytes wait to be written to MySQL)", reply.json["detail"])
            assert int(reply.headers["Retry-After"]) > 0
            assert "price" not in reply.text
        assert "journal" in call(f"{full.url}/readyz").json["waits_for"]
        inference.proxy.restore()
        eventually(lambda: metric(full.url, JOURNAL) == 0, 20, "all is in MySQL")
        answered.append(call(f"{full.url}/predict", body))
        full.ready(5)
        eventually(lambda: len(inference.stored()) == before + len(answered), 20, "the last one too")
        _each_is_kept_once(inference, answered)
    finally:
        full.stop()


@pytest.mark.failure("F22")
def test_a_key_is_kept_once(inference: Inference) -> None:
    """A client that asks again under its Idempotency-Key is answered again, and counted once: as it asked first."""
    first, again = (
        inference.predict(inference.example(), key="mine-1"),
        inference.predict(inference.example(bed=2), key="mine-1"),
    )
    assert first.json["request_id"] == again.json["request_id"] == "mine-1"
    assert {first.status, again.status} == {200}
    (row,) = inference.stored(request_id="mine-1")
    assert (row["bed"], row["prediction"]) == (4.0, first.price)


@pytest.mark.parametrize("key", ["x" * 37, "a b", "é"])
def test_a_key_that_is_none_is_told(inference: Inference, key: str) -> None:
    """It would not fit the table."""
    reply = inference.predict(inference.example(), key=key)
    assert (reply.status, reply.headers["Content-Type"]) == (400, "application/problem+json")
    assert "Idempotency-Key: must be 1 to 36 visible ASCII characters" in reply.json["detail"]


@pytest.mark.failure("F21")
def test_a_row_that_mysql_refuses_takes_no_other_with_it(inference: Inference) -> None:
    """It is a dead letter; those that were to be written with it are kept."""
    where = f"{inference.world.prefix}RAW_DATA.new_{inference.world.dataset.name}"
    with inference.world.admin.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {where} ADD CONSTRAINT no_ys CHECK (city <> 'Ys')")
    said = [inference.example(city="Ys" if i == 7 else "Town") for i in range(16)]
    with ThreadPoolExecutor(len(said)) as pool:
        replies = list(pool.map(inference.predict, said))
    assert {reply.status for reply in replies} == {200}
    _each_is_kept_once(inference, replies[:7] + replies[8:])
    assert inference.stored(city="Ys") == []
    (letter,) = [letter for letter in inference.dead_letters() if letter.topic.startswith("RAW_DATA")]
    assert letter.first_key == replies[7].json["request_id"]
    assert "Ys" in letter.value


@pytest.mark.failure("F21")
def test_a_client_that_went_away_is_kept(inference: Inference) -> None:
    """It asked, and what it asked counts."""
    body = json.dumps(inference.example()).encode()
    address = urlsplit(inference.process.url)
    with socket.create_connection((address.hostname, address.port)) as gone:
        gone.sendall(b"POST /predict HTTP/1.1\r\nHost: here\r\nX-Request-ID: gone\r\n")
        gone.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    eventually(lambda: len(inference.stored(client_request_id="gone")) == 1, 20, "the request is kept")


@pytest.mark.failure("F25")
def test_a_stop_loses_nothing(inference: Inference) -> None:
    """Whoever was told a price before the end finds it in the table, and the process ends well.

    Who is not answered is refused, or cut off before a byte of an answer: the kernel resets what waits to be accepted.
    """
    stopped = inference.new_process()
    stopped.start()
    stopped.ready()
    body = json.dumps(inference.example()).encode()
    begun = threading.Event()

    def client(_number: int) -> list[Reply]:
        replies = []
        while True:
            try:
                replies.append(call(f"{stopped.url}/predict", body))
            except (URLError, ConnectionError):
                return replies
            begun.set()

    with ThreadPoolExecutor(CLIENTS) as pool:
        posting = pool.map(client, range(CLIENTS))
        begun.wait()
        code = stopped.stop()
        replies = [reply for of_client in posting for reply in of_client]
    assert code == 0
    assert {reply.status for reply in replies} == {200}
    _each_is_kept_once(inference, replies)


def _each_is_kept_once(inference: Inference, replies: list[Reply]) -> None:
    """Each answer's rows are in the table, with the version and the prices that the client was told."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in inference.stored():
        rows.setdefault(row["request_id"], []).append(row)
    for reply in replies:
        kept = rows[reply.json["request_id"]]
        assert [row["prediction"] for row in kept] == [p["price"] for p in reply.json["predictions"]]
        assert {row["model_version"] for row in kept} == {reply.json["model"]["version"]}
