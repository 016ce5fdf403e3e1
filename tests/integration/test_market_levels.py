"""Prices follow the level of the market, on real Kafka, MariaDB and MLflow, in two workers."""

import json
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.http import get, metric, post
from support.market_levels import LAST, LEARNT, MARKET_TEXT, add_levels, level_message, level_updated
from support.models import Models, served_model
from support.scoring import read_rows, score, write_rows
from support.testbed import Process, Testbed, wait_until
from veleta.adapters.async_mysql import async_mysql_engine
from veleta.clock import utc_now
from veleta.events.envelope import Message
from veleta.ports import Version
from veleta.tables import dataset_tables
from veleta.topics import topic
from veleta_inference.adapters.request_table import MysqlRequestTable
from veleta_inference.handlers import MARKET_FIELDS, REQUEST_FIELDS

OCTOBER = date(2014, 10, 3)
ANSWERS = 20
"""So many answers in a row come from both workers."""


@pytest.fixture(scope="module")
def dataset_text() -> str:
    """real_estate with a market."""
    return MARKET_TEXT


class Setup:
    """Inference with two workers, and the version that it serves."""

    def __init__(self, testbed: Testbed, process: Process, models: Models, version: Version) -> None:
        self.testbed = testbed
        self.process = process
        self.models = models
        self.version = version

    def price(self, **changes: object) -> dict[str, Any]:
        """The answer to a request for the price of the example."""
        status, body = post(f"{self.process.url}/predict", {**self.testbed.dataset.example, **changes})
        assert status == 200, body
        return dict(body)

    def expected(self, level: float) -> float:
        """The price of the example by the version in the registry at a level."""
        row, _ = self.testbed.dataset.convert(self.testbed.dataset.example)
        return self.models.prices(self.version.number, [row], level)[0]

    def update(self, seq: int, as_of: date, value: float, slope: float = 0.0) -> None:
        """Publish a level as drift does, and wait until both workers serve it."""
        update = level_updated(self.version, seq, as_of, value, slope, model=self.testbed.dataset.name)
        self.testbed.log.publish([level_message(update, utc_now())])
        wait_until(lambda: self.served() == {seq}, 10, f"update {seq} is served")

    def served(self) -> set[int]:
        """The updates that the workers serve."""
        return {served_model(self.process.url)["market"]["level_seq"] for _ in range(ANSWERS)}

    def stored(self, request_id: str) -> list[dict[str, Any]]:
        """The rows of a request in MySQL."""
        table = dataset_tables(self.testbed.dataset).requests
        columns = [table.c[name] for name in ("model_version", "prediction", *MARKET_FIELDS)]
        query = sa.select(*columns).where(table.c.request_id == request_id)
        wait_until(lambda: self.testbed.sql(query), 20, f"{request_id} is stored")
        return [dict(row._mapping) for row in self.testbed.sql(query)]


@pytest.fixture(scope="module")
def setup(testbed: Testbed) -> Iterator[Setup]:
    models = Models(testbed)
    version = models.promote(damage=add_levels)
    with testbed.service("inference", "inference", workers=2) as process:
        process.wait_until_ready()
        yield Setup(testbed, process, models, version)


def test_a_price_is_the_house_times_the_level_of_its_day(setup: Setup) -> None:
    """Of the training first, then of each update, in the answer and in MySQL."""
    answers = [setup.price(), setup.price(as_of="2014-06-30")]
    setup.update(1, OCTOBER, 0.07, slope=0.01)
    assert metric(setup.process.url, "veleta_market_level") == pytest.approx(math.exp(0.07))
    answers += [setup.price(), setup.price(as_of="2014-10-01"), setup.price(as_of="2014-06-30")]
    june = date(2014, 6, 30)
    named = [
        (LAST, LEARNT.now.value, 0), (june, 0.01, 0), (OCTOBER, 0.07, 1), (date(2014, 10, 1), 0.06, 1), (june, 0.01, 0),
    ]  # fmt: skip
    for answer, (as_of, level, seq) in zip(answers, named, strict=True):
        price = pytest.approx(setup.expected(level), rel=1e-12)
        assert answer["predictions"][0]["price"] == price
        assert answer["as_of"] == as_of.isoformat()
        assert answer["market"] == {"factor": pytest.approx(math.exp(level)), "since": "2014-05"}
        (row,) = setup.stored(answer["request_id"])
        stored = (row["model_version"], row["as_of"], row["level_seq"], row["market_level"], row["prediction"])
        assert stored == (setup.version.number, as_of, seq, pytest.approx(level), price)


def test_base_and_contributions_add_up_to_the_price(setup: Setup) -> None:
    """The level of the market is one of them, also for an earlier day."""
    url, example = f"{setup.process.url}/explain", setup.testbed.dataset.example
    bases = set()
    for day in ({}, {"as_of": "2014-07-05"}):
        status, body = post(url, {**example, **day})
        assert status == 200, body
        (item,) = body["explanations"]
        assert item["base"] + sum(item["contributions"].values()) == pytest.approx(item["price"], rel=1e-9)
        assert item["contributions"]["market since 2014-05"] > 0
        bases.add(round(item["base"], 3))
    assert len(bases) == 1


@pytest.mark.failure("F473")
def test_a_restart_serves_the_same_level(setup: Setup) -> None:
    """By both workers, from the first answer on. A broken record of the topic is a dead letter."""
    setup.update(2, OCTOBER, 0.08)
    name = topic(setup.testbed.dataset.name, "levels")
    setup.testbed.log.publish([Message(name, "k", (), b"{")])
    wait_until(lambda: len(setup.testbed.events("deadletter")) > 0, 20, "a dead letter")
    with setup.testbed.service("inference", "inference", workers=2) as process:
        process.wait_until_ready()
        second = Setup(setup.testbed, process, setup.models, setup.version)
        assert second.served() == {2}
        assert second.price()["predictions"] == setup.price()["predictions"]


def test_a_file_is_priced_at_the_level_of_the_day_of_each_row(setup: Setup, tmp_path: Path) -> None:
    """At that of the newest day, if a row asks for none. A day outside the history has the words of /predict."""
    rows = [{**setup.testbed.dataset.example, "as_of": day} for day in ("", "2014-06-30", "1999-01-01")]
    done = score(setup.testbed, csv=write_rows(tmp_path / "rows.csv", rows), out=tmp_path / "prices.csv")
    assert done.returncode == 0, done.stderr
    newest, june = setup.price(), setup.price(as_of="2014-06-30")
    scored = read_rows(tmp_path / "prices.csv")
    for row, answer in zip(scored, (newest, june), strict=True):
        assert float(row[f"predicted_{setup.testbed.dataset.target}"]) == answer["predictions"][0]["price"]
        assert (row["predicted_as_of"], row["market_since"]) == (answer["as_of"], answer["market"]["since"])
        assert float(row["market_factor"]) == answer["market"]["factor"]
    assert f"prices of {newest['as_of']}: {newest['market']['factor']:.3f} times those of 2014-05" in done.stdout
    status, problem = post(f"{setup.process.url}/predict", {**setup.testbed.dataset.example, "as_of": "1999-01-01"})
    (error,) = read_rows(tmp_path / "prices.csv.errors.csv")
    assert (status, error["row"], error["column"], error["message"]) == (422, "2", "as_of", problem["detail"])


def test_a_key_gets_the_price_of_its_day_again(setup: Setup) -> None:
    """Its request is stored with its level."""
    headers = {"Idempotency-Key": "order-17"}
    body = {**setup.testbed.dataset.example, "as_of": "2014-06-30"}
    first, again = (post(f"{setup.process.url}/predict", body, headers) for _ in range(2))
    assert first == again
    (row,) = setup.stored("order-17")
    assert [row[name] for name in MARKET_FIELDS] == [date(2014, 6, 30), 0.01, 0]


async def test_an_earlier_line_of_the_journal_has_no_level(setup: Setup) -> None:
    """It is drained all the same."""
    line = {
        "request_id": "earlier", "client_request_id": None, "received_at": "2026-01-02T03:04:05",
        "answered_at": "2026-01-02T03:04:05", "model_version": 1, "latency_ms": 0.5, "http_status": 200,
        "items": [{**setup.testbed.dataset.example, "prediction": 1.0}],
    }  # fmt: skip
    engine = async_mysql_engine(setup.testbed.mysql("inference"))
    fields = [*REQUEST_FIELDS, *MARKET_FIELDS]
    table = MysqlRequestTable(engine, dataset_tables(setup.testbed.dataset).requests, fields, left_out=["answer"])
    await table.insert([json.dumps(line).encode()])
    await engine.dispose()
    (row,) = setup.stored("earlier")
    assert [row[name] for name in MARKET_FIELDS] == [None, None, None]


def test_the_model_shows_the_periods_of_its_market(setup: Setup) -> None:
    """Those of the training, and of the updates since."""
    market = get(f"{setup.process.url}/model")[1]["market"]
    assert (market["since"], market["as_of"], market["every"]) == ("2014-05", "2014-10-03", "month")
    assert [each["period"] for each in market["periods"]] == ["2014-05-01", "2014-06-01", "2014-07-01", "2014-10-01"]
