"""kill -9 at every fault point of every service, one after the other, on real Kafka, MariaDB and MLflow."""

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from support.batches import batch_manifests, publish_batch
from support.faulty import kills
from support.listings import api_rows, write_csv
from support.models import Models, post_example
from support.testbed import Process, Testbed, http_status, wait_until
from veleta.batches import BatchReader
from veleta.events.catalogue import BatchClosed, BatchMissed
from veleta.tables import batches, dataset_tables, drift_reports

ROWS = 40
POLLER = (
    "poller.requesting", "poller.renamed", "poller.received", "poller.parsing", "poller.opened", "poller.rows",
    "poller.closed", "poller.saved", "poller.restarting", "poller.restarted",
)  # fmt: skip
LOADER = (
    "processor.prepared",
    "loader.chunk",
    "processor.applied",
    "processor.committed",
    "consumer.processed",
    "loader.cleared",
)
DRIFT = ("processor.prepared", "processor.applied", "processor.committed", "outbox.published")
INFERENCE = ("inference.refused", "inference.checked", "inference.predicted", "inference.stored")


def wait_for_all_kills(process: Process, seconds: float = 120) -> None:
    """Wait until all kills happened; restart the process after each."""
    process.run_until(lambda: not process.faults(), seconds, "all kills")


@pytest.mark.failure("F05", "F06", "F72", "F306")
def test_the_poller_is_killed_at_each_step(testbed: Testbed, tmp_path: Path) -> None:
    """What arrived completely is closed with its rows, and no batch is missed."""
    csv = tmp_path / "listings.csv"
    write_csv(csv, ROWS, seed=3)
    given: dict[str, Any] = {"group_number": 1, "poll_every": 0.05, "at_end": "restart", "inbox": tmp_path / "inbox"}
    with (
        testbed.service("source", csv=csv, state=tmp_path / "source") as source,
        testbed.service("poller", faults=kills(POLLER), api_url=source.url, **given) as poller,
    ):
        source.wait_until_ready()
        wait_for_all_kills(poller)
        poller.run_until(lambda: (2, 5) in _closed(testbed), 60, "the second epoch")
        expected = [_served_rows(source) for _ in range(6)]
    missed = [(e.payload.epoch, e.payload.number) for e in testbed.events("batches") if e.type == BatchMissed.TYPE]  # type: ignore[attr-defined]  # every payload of this type has both
    found = {key: manifest for key, manifest in _closed(testbed).items() if key[0] <= 2}
    assert missed == []
    assert sorted(found) == [(e, n) for e in (1, 2) for n in range(6)]
    for (_, number), manifest in found.items():
        rows = [row for chunk in BatchReader(testbed.log).chunks(manifest) for row in chunk]
        assert rows == expected[number]


@pytest.fixture(scope="module")
def deployment_with_batches(testbed: Testbed) -> Testbed:
    """Batches of three epochs in the topics, after those of the poller's test."""
    for epoch, count in ((11, 4), (12, 3)):
        for number in range(count):
            publish_batch(testbed.log, testbed.dataset, epoch, number, list(api_rows(number % 6, 250, epoch + number)))
    return testbed


@pytest.mark.failure("F08")
def test_the_loader_is_killed_at_each_step(deployment_with_batches: Testbed) -> None:
    """Each row exists once; the rows of old epochs are deleted, those of the newest epoch are present."""
    testbed = deployment_with_batches
    with testbed.service("loader", "loader", faults=kills(LOADER)) as loader:
        wait_for_all_kills(loader)
        loader.run_until(lambda: _state(testbed, 12, 2) == "loaded", 60, "the last batch is loaded")
    raw = dataset_tables(testbed.dataset).raw
    counted = testbed.sql(sa.select(raw.c.epoch, raw.c.number, sa.func.count()).group_by(raw.c.epoch, raw.c.number))
    assert {tuple(line) for line in counted} == {(12, n, 250) for n in range(3)}
    assert {row.state for row in testbed.sql(sa.select(batches).where(batches.c.epoch >= 11))} == {"loaded"}


@pytest.mark.failure("F111")
def test_drift_is_killed_at_each_step(deployment_with_batches: Testbed) -> None:
    """One report per batch, one event id per report, equal to the table. A failed publication is repeated."""
    testbed = deployment_with_batches
    with testbed.service("drift", "drift", faults=[*kills(DRIFT), "outbox.published fail"]) as drift:
        wait_for_all_kills(drift)
        drift.run_until(lambda: len(_verdicts(testbed)) == len(_closed(testbed)), 60, "every verdict")
        wait_until(lambda: len(_published_verdicts(testbed)) == len(_closed(testbed)), 60, "every event")
    assert _published_verdicts(testbed) == {
        f"{testbed.dataset.name}/{e}/{n}/assessed": v for (e, n), v in _verdicts(testbed).items()
    }


@pytest.mark.failure("F21", "F22", "F285")
def test_inference_is_killed_around_an_answer(testbed: Testbed) -> None:
    """Before the journal write nothing is stored; after it the next process stores it. The client never got a price.

    A damaged line of the journal is one dead letter.
    """
    Models(testbed).promote()
    journal = testbed.folder / "journal/answered/0"
    journal.mkdir(parents=True)
    (journal / "000000000000.lines").write_bytes(b"damaged\n")
    requests = dataset_tables(testbed.dataset).requests
    with testbed.service("inference", "inference", faults=kills(INFERENCE)) as inference:
        inference.run_until(lambda: len(inference.faults()) == 2, 60, "the first kills")
        for name in ("predicted", "stored", "last"):
            inference.run_until(lambda: http_status(f"{inference.url}/readyz") == 200, 60, "it is ready")
            assert post_example(inference.url, testbed.dataset, name) == (200 if name == "last" else 0)
        names = [requests.c.client_request_id]
        wait_until(lambda: len(testbed.sql(sa.select(*names))) == 2, 20, "the requests are in MySQL")
        wait_until(lambda: testbed.events("deadletter"), 20, "the dead letter")
    assert {row.client_request_id for row in testbed.sql(sa.select(*names))} == {"stored", "last"}
    assert len(testbed.events("deadletter")) == 1


def _closed(testbed: Testbed) -> dict[tuple[int, int], BatchClosed]:
    found = batch_manifests(testbed.events("batches"))
    return {key: event.payload for key, event in found.items() if isinstance(event.payload, BatchClosed)}


def _served_rows(source: Process) -> Any:
    """The rows of the next batch, for another group number."""
    with urlopen(f"{source.url}/data?group_number=99", timeout=10) as answer:
        return json.loads(answer.read())["data"]


def _state(testbed: Testbed, epoch: int, number: int) -> str:
    lines = testbed.sql(sa.select(batches.c.state).where(batches.c.epoch == epoch, batches.c.number == number))
    return str(lines[0].state) if lines else ""


def _verdicts(testbed: Testbed) -> dict[tuple[int, int], str]:
    return {(row.epoch, row.number): row.verdict for row in testbed.sql(sa.select(drift_reports))}


def _published_verdicts(testbed: Testbed) -> dict[str, str]:
    return {event.id: event.payload.verdict for event in testbed.events("drift")}  # type: ignore[attr-defined]  # all are reports
