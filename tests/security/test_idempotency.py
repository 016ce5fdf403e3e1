"""Idempotency-Key on real workers and a real database: one key is one answer, in every process and after a restart."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from support.inference import Reply, call
from support.models import Models
from support.testbed import Process, Testbed, wait_until
from veleta.api_keys import digest
from veleta.tables import dataset_tables
from veleta_inference.adapters.keyed_answers import REPLAYED

REQUESTS = 22
NAMES = ("ada", "bob")
KEYS = count(1)


class Setup:
    """Inference with two workers and two API keys. The keys are the names."""

    def __init__(self, testbed: Testbed, process: Process) -> None:
        self.process = process
        self.models = Models(testbed)
        self.example = testbed.dataset.example
        self._testbed = testbed

    def predict(self, key: str, name: str = NAMES[0], **changes: object) -> Reply:
        """The reply to the example with changed values."""
        headers = {"Idempotency-Key": key, "X-API-Key": name}
        return call(f"{self.process.url}/predict", json.dumps({**self.example, **changes}).encode(), headers)

    def served(self) -> set[int]:
        """The versions that answer new requests. They reach both workers, except in one of 2^21 runs."""
        return {self.predict(f"probe-{next(KEYS)}").json["model"]["version"] for _ in range(REQUESTS)}

    def stored(self, request_id: str) -> list[dict[str, Any]]:
        """The rows of a request."""
        table = dataset_tables(self._testbed.dataset).requests
        return [
            dict(row._mapping) for row in self._testbed.sql(sa.select(table).where(table.c.request_id == request_id))
        ]


@pytest.fixture(scope="module")
def setup(testbed: Testbed) -> Iterator[Setup]:
    """It serves version 1."""
    api_keys = ",".join(f"{name}:{digest(name)}" for name in NAMES)
    with testbed.service("inference", "inference", workers=2, reconcile_seconds=1, api_keys=api_keys) as process:
        made = Setup(testbed, process)
        made.models.promote()
        process.wait_until_ready()
        yield made


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"order-{next(KEYS)}"


@pytest.mark.failure("F407")
def test_different_requests_under_one_key_get_one_price(setup: Setup, key: str) -> None:
    """At the same moment, and in several processes. The others get the id of the one that was answered."""
    with ThreadPoolExecutor(REQUESTS) as pool:
        replies = list(pool.map(lambda bed: setup.predict(key, bed=bed), range(REQUESTS)))
    [first] = [reply for reply in replies if reply.status == 200]
    others = [reply for reply in replies if reply is not first]
    request_id = first.json["request_id"]
    assert {reply.status for reply in others} == {422}
    assert all(f"it belongs to the request {request_id}" in reply.json["detail"] for reply in others)
    [row] = setup.stored(request_id)
    assert row["prediction"] == first.price


@pytest.mark.failure("F128")
def test_a_repeated_request_gets_the_stored_answer(setup: Setup, key: str) -> None:
    """From each process, after another version was promoted, and after a kill of all."""
    first = setup.predict(key)
    assert (first.status, first.json["model"]["version"], REPLAYED in first.headers) == (200, 1, False)
    setup.models.promote()
    wait_until(lambda: setup.served() == {2}, what="version 2 is served by both")
    again = [setup.predict(key) for _ in range(REQUESTS)]
    setup.process.kill()
    setup.process.start()
    setup.process.wait_until_ready()
    again.append(setup.predict(key))
    assert {(reply.status, reply.text, reply.headers[REPLAYED]) for reply in again} == {(200, first.text, "true")}
    assert len(setup.stored(first.json["request_id"])) == 1


@pytest.mark.failure("F408")
def test_a_key_belongs_to_the_api_key_that_sent_it(setup: Setup, key: str) -> None:
    """Another client may use the same one, and learns nothing of the first."""
    ada, bob = (setup.predict(key, name, bed=bed) for name, bed in zip(NAMES, (1, 9), strict=True))
    assert [ada.status, bob.status] == [200, 200]
    assert ada.json["request_id"] != bob.json["request_id"]
    assert setup.predict(key, "bob", bed=9).text == bob.text
