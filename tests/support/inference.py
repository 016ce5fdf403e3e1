"""A process of inference on real Kafka, MariaDB and MLflow."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

import sqlalchemy as sa

from support.models import Models
from support.proxy import Proxy
from support.testbed import Process, Testbed, free_port, http_status, wait_until
from veleta.events.catalogue import RecordDeadlettered
from veleta.ports import Version
from veleta.tables import dataset_tables

ITEMS_LIMIT = 5


@dataclass(frozen=True)
class Reply:
    """A response."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def price(self) -> float:
        return self.prices[0]

    @property
    def prices(self) -> list[float]:
        """The prices of a prediction or an explanation."""
        return [float(item["price"]) for item in self.json.get("predictions") or self.json["explanations"]]


def call(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
    """Send a GET, or a POST if there is a body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=30) as answer:
            return Reply(answer.status, dict(answer.headers), answer.read().decode())
    except HTTPError as error:
        return Reply(error.code, dict(error.headers), error.read().decode())


class Inference:
    """A process of inference, its table, its models, and a proxy between it and MySQL."""

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed
        self.models = Models(testbed)
        self.proxy = Proxy(testbed.mysql("inference").port)
        self.table = dataset_tables(testbed.dataset).requests
        self.process = self.new_process()

    def new_process(self, **changes: object) -> Process:
        """A process that is not yet started. It reaches MySQL through the proxy."""
        port = free_port()
        settings = {"port": port, "reconcile_seconds": 1, "items_limit": ITEMS_LIMIT, **changes}
        environment = self.testbed.environment("inference", "inference", **settings)
        environment["MYSQL_PORT"] = str(self.proxy.port)
        return Process("inference", port, environment, self.testbed.folder)

    @contextmanager
    def second_process(self, **settings: object) -> Iterator[Process]:
        """A second process that runs until the block ends."""
        process = self.new_process(**settings)
        process.start()
        try:
            process.wait_until_ready()
            yield process
        finally:
            process.stop()

    def example(self, **changes: object) -> dict[str, Any]:
        return {**self.testbed.dataset.example, **changes}

    def predict(self, request: object, name: str = "", key: str = "") -> Reply:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        headers = {name: value for name, value in (("X-Request-ID", name), ("Idempotency-Key", key)) if value}
        return call(f"{self.process.url}/predict", body, headers)

    def model(self) -> Reply:
        return call(f"{self.process.url}/model")

    def readiness(self) -> Reply:
        return call(f"{self.process.url}/readyz")

    def wait_until_serving(self, version: Version) -> None:
        wait_until(lambda: self.model().json.get("version") == version.number, what=f"{version.number} is served")

    def stored(self, **where: object) -> list[dict[str, Any]]:
        """The rows of the table, after the journal is empty."""
        journal = self.testbed.folder / "journal"
        wait_until(
            lambda: not any(path.stat().st_size for path in journal.rglob("*.lines")), 20, "the journal is empty"
        )
        conditions = [self.table.c[name] == value for name, value in where.items()]
        query = sa.select(self.table).where(*conditions).order_by(self.table.c.request_id, self.table.c.item)
        return [dict(row._mapping) for row in self.testbed.sql(query)]

    def dead_letters(self) -> list[RecordDeadlettered]:
        return [e.payload for e in self.testbed.events("deadletter") if isinstance(e.payload, RecordDeadlettered)]

    def start(self) -> None:
        self.process.start()
        wait_until(lambda: http_status(f"{self.process.url}/livez") == 200, 60, "inference listens")

    def stop(self) -> None:
        self.process.stop()
        self.proxy.cut()
        self.testbed.log.close()
        self.testbed.admin.dispose()
