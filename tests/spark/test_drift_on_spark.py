"""A drift report of a batch that Spark reads is the one of a batch that drift reads itself."""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from kafka import TopicPartition

from support.batches import TIME, publish_batch
from support.drift_models import FakeModel, reference_of
from support.listings import api_rows
from support.spark import spark_environment
from support.testbed import Process, Testbed, free_port, wait_until
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels
from support.twins.shared import StrictTransactions
from veleta.adapters.kafka_clients import Admin
from veleta.adapters.spark_batches import ChunkFacts, check_batch
from veleta.batches import BatchReader, RowsDeleted
from veleta.errors import Reject, Retry
from veleta.events.catalogue import BatchClosed, DriftAssessed, OffsetRange
from veleta.events.envelope import Event, Message
from veleta.service.health import ServiceHealth
from veleta.settings import SparkSettings
from veleta.tables import drift_reports
from veleta.topics import topic
from veleta_drift.adapters.spark_sampler import SparkBatchSampler
from veleta_drift.batch_sampler import BatchSampler, LocalBatchSampler
from veleta_drift.domain.row_sample import MAX_ROWS
from veleta_drift.handlers import DriftHandler

SECONDS = 300
"""Until a step is given up: the machine may be busy."""
MASTER = "local[2]"
ODD: Mapping[str, Any] = {"price": None, "city": ["Salem"], "bed": "3", "bath": "many", "house_size": True, "more": 1.5}
"""What differs in an odd row: gaps, texts in place of numbers, no number, and an unknown column."""


@pytest.fixture
def health() -> ServiceHealth:
    return ServiceHealth("drift")


@pytest.fixture
def folder(tmp_path: Path, testbed: Testbed, settings: SparkSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files. Child processes get the environment of drift."""
    for name, value in spark_environment(testbed, "drift", settings.jars, MASTER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def spark(testbed: Testbed, health: ServiceHealth, folder: Path) -> SparkBatchSampler:
    return SparkBatchSampler(testbed.dataset, BatchReader(testbed.log), MASTER, health)


@pytest.fixture
def local(testbed: Testbed) -> LocalBatchSampler:
    return LocalBatchSampler(testbed.dataset, testbed.log)


async def test_both_engines_read_the_same(testbed: Testbed, spark: SparkBatchSampler, local: LocalBatchSampler) -> None:
    """The same bits of each statistic, the same counts and the same sample, of which each row is the second one.

    Some rows are odd. The records of another batch in the range are not read.
    """
    rows: list[dict[str, Any]] = list(api_rows(0, MAX_ROWS + 1_050, 1))
    rows[::7] = [{**row, **dict(list(ODD.items())[: 1 + at % len(ODD)])} for at, row in enumerate(rows[::7])]
    other = publish_batch(testbed.log, testbed.dataset, 1, 0, rows[:500])
    manifest = publish_batch(testbed.log, testbed.dataset, 1, 1, rows)
    ranges = [manifest.ranges[0].model_copy(update={"first": other.ranges[0].first})]
    manifest = manifest.model_copy(update={"ranges": ranges})
    found, expected = await spark.read(manifest), await local.read(manifest)
    assert list(found.summary.statistics) == list(expected.summary.statistics)
    assert repr(found.summary) == repr(expected.summary)
    assert 0 < found.summary.values["bath"] < len(rows)
    assert found.rows == expected.rows
    assert len(rows) / 2 * 0.8 < len(found.rows) < len(rows) / 2


async def reports(
    testbed: Testbed, sampler: BatchSampler, manifests: Sequence[BatchClosed], model: FakeModel
) -> list[DriftAssessed]:
    """The reports on batches."""
    transactions = StrictTransactions(MemoryDriftUnitOfWork())
    handler = DriftHandler(
        testbed.dataset, testbed.log, transactions, MemoryModels(model), lambda: TIME, sampler=sampler
    )
    found = []
    for manifest in manifests:
        event = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)
        prepared = await handler.prepare(event)
        await transactions.run(partial(handler.apply, event, prepared))
        found.append(prepared.report)
    return found


async def test_both_engines_report_the_same(
    testbed: Testbed, spark: SparkBatchSampler, local: LocalBatchSampler
) -> None:
    """Statistics, tests, errors, verdicts of all policies and what the next report needs."""
    batches = [api_rows(place, 900, seed) for seed, place in enumerate((0, 5))]
    manifests = [publish_batch(testbed.log, testbed.dataset, 7, number, rows) for number, rows in enumerate(batches)]
    model = FakeModel(2, reference_of(testbed.dataset, batches[0]), bias=0.05)
    found = await reports(testbed, spark, manifests, model)
    assert [each.model_dump_json() for each in found] == [
        each.model_dump_json() for each in await reports(testbed, local, manifests, model)
    ]
    assert [each.verdict for each in found] == ["not enough data", "drift"]
    assert {each.verdict for each in found[1].verdicts} >= {"drift"}
    assert found[1].tests
    assert found[1].errors


async def rejected(sampler: BatchSampler, manifest: BatchClosed) -> tuple[str, str]:
    """Why a batch is rejected: the reason, and all that is said."""
    with pytest.raises(Reject) as found:
        await sampler.read(manifest)
    return found.value.reason, str(found.value)


@pytest.mark.failure("F496")
async def test_a_batch_that_does_not_match_its_manifest_is_rejected_with_the_same_words(
    testbed: Testbed, spark: SparkBatchSampler, local: LocalBatchSampler
) -> None:
    """As here with other rows, and with a chunk that cannot be read in place of the second one."""
    manifest = publish_batch(testbed.log, testbed.dataset, 1, 6, api_rows(0, 300, 6))
    changed = manifest.model_copy(update={"digest": "0" * 64})
    expected = "the manifest does not match", "the manifest does not match: the rows have another digest"
    assert await rejected(local, changed) == await rejected(spark, changed) == expected
    damaged = publish_damaged(testbed, manifest)
    expected = await rejected(local, damaged)
    assert expected[0].startswith("the value does not match")
    assert await rejected(spark, damaged) == expected


def publish_damaged(testbed: Testbed, manifest: BatchClosed) -> BatchClosed:
    """Publish the records of a batch again, of which the second one has no rows: its manifest with their place."""
    (part,) = manifest.ranges
    name = topic(testbed.dataset.name, "rows")
    records = [*testbed.log.read(name, part.partition, part.first, part.last)]
    records[1] = replace(records[1], value=b"{}")
    places = testbed.log.publish([Message(name, each.key, each.headers, each.value) for each in records])
    found = OffsetRange(partition=part.partition, first=places[0][1], last=places[-1][1])
    return manifest.model_copy(update={"ranges": [found]})


@pytest.mark.failure("F496")
def test_chunks_are_compared_with_the_manifest_in_their_order() -> None:
    """Executors find them in any order. A chunk that is missing, or twice there, is named."""
    digest = "0" * 64
    names = {"dataset": "d", "epoch": 1, "number": 1, "digest": digest, "dataset_digest": digest}
    manifest = BatchClosed(**names, rows=5, chunks=2, ranges=[])
    first, second = ChunkFacts(0, 7, 0, 0, 3), ChunkFacts(0, 9, 1, 3, 2)
    check_batch(manifest, [second, first], digest)
    for facts, words in (
        ([first], "3 rows in 1 chunks, not 5 in 2"),
        ([second], "chunk 1 instead of chunk 0"),
        ([first, first, second], "chunk 0 instead of chunk 1"),
        ([], "0 rows in 0 chunks, not 5 in 2"),
    ):
        with pytest.raises(Reject, match=f"the manifest does not match: {words}"):
            check_batch(manifest, facts, digest)


async def test_a_batch_whose_rows_are_deleted_is_named(
    fresh_testbed: Testbed, health: ServiceHealth, folder: Path
) -> None:
    """Before a session starts: its report says so."""
    rows = [fresh_testbed.dataset.example] * 300
    manifest = publish_batch(fresh_testbed.log, fresh_testbed.dataset, 1, 0, rows)
    (part,) = manifest.ranges
    with Admin(fresh_testbed.kafka, "test").connected() as admin:
        admin.delete_records({TopicPartition(topic(fresh_testbed.dataset.name, "rows"), part.partition): part.last + 1})
    sampler = SparkBatchSampler(fresh_testbed.dataset, BatchReader(fresh_testbed.log), MASTER, health)
    began = time.monotonic()
    with pytest.raises(RowsDeleted):
        await sampler.read(manifest)
    assert time.monotonic() - began < 5


@pytest.mark.failure("F490")
async def test_a_master_that_is_down_is_named(testbed: Testbed, health: ServiceHealth, folder: Path) -> None:
    """Within five seconds, before a process starts. Drift reads the batch again when the master is up."""
    manifest = publish_batch(testbed.log, testbed.dataset, 1, 2, [testbed.dataset.example] * 5)
    master = f"spark://127.0.0.1:{free_port()}"
    sampler = SparkBatchSampler(testbed.dataset, BatchReader(testbed.log), master, health)
    began = time.monotonic()
    with pytest.raises(Retry, match=f"spark: no master answers at {master.removeprefix('spark://')}"):
        await sampler.read(manifest)
    assert time.monotonic() - began < 5


@pytest.mark.failure("F494")
async def test_an_unavailable_kafka_is_named(
    testbed: Testbed, health: ServiceHealth, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the driver, if drift still reached it. It is no fault of the batch."""
    manifest = publish_batch(testbed.log, testbed.dataset, 1, 3, [testbed.dataset.example] * 5)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    sampler = SparkBatchSampler(testbed.dataset, BatchReader(testbed.log), MASTER, health)
    with pytest.raises(Retry, match="kafka: "):
        await sampler.read(manifest)


def driver_of(pid: int) -> list[psutil.Process]:
    """The child process that reads, and its Java process. Empty until that has started."""
    for process in psutil.Process(pid).children():
        if "veleta_drift.read_on_spark" in process.cmdline() and (java := process.children(recursive=True)):
            return [process, *java]
    return []


async def reading(sampler: BatchSampler, manifest: BatchClosed) -> tuple["asyncio.Task[Any]", list[psutil.Process]]:
    """A read that has started Java, and its processes."""
    read = asyncio.ensure_future(sampler.read(manifest))
    deadline = time.monotonic() + SECONDS
    while not (found := driver_of(os.getpid())):
        assert not read.done(), read.result()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return read, found


def left_in(folder: Path) -> list[Path]:
    """The folders of batches that were not deleted."""
    return [*folder.glob("veleta-batch-*")]


@pytest.mark.failure("F495")
async def test_a_driver_that_is_killed_leaves_nothing(
    testbed: Testbed, spark: SparkBatchSampler, local: LocalBatchSampler, folder: Path
) -> None:
    """No process and no file. The batch is read again."""
    manifest = publish_batch(testbed.log, testbed.dataset, 1, 4, api_rows(0, 300, 4))
    read, processes = await reading(spark, manifest)
    processes[0].kill()
    with pytest.raises(Retry, match="spark: the driver was killed by signal 9"):
        await read
    _, left = psutil.wait_procs(processes, 10)
    assert not left
    assert not left_in(folder)
    assert (await spark.read(manifest)).summary == (await local.read(manifest)).summary


@pytest.mark.failure("F495")
async def test_a_stop_ends_the_driver(
    testbed: Testbed, spark: SparkBatchSampler, health: ServiceHealth, folder: Path
) -> None:
    """At once: the next start reads the batch."""
    manifest = publish_batch(testbed.log, testbed.dataset, 1, 5, api_rows(0, 300, 5))
    read, processes = await reading(spark, manifest)
    health.stopping.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(read, 5)
    _, left = psutil.wait_procs(processes, 10)
    assert not left
    assert not left_in(folder)


def test_the_service_uses_the_engine_of_its_environment(
    fresh_testbed: Testbed, settings: SparkSettings, tmp_path: Path
) -> None:
    """With ENGINE=spark a report needs PySpark, and its driver is a child process."""
    testbed, port = fresh_testbed, free_port()
    environment = testbed.environment("drift", "drift", port=port)
    environment |= {"ENGINE": "spark", "SPARK_MASTER": MASTER, "SPARK_JARS": str(settings.jars)}
    drift = Process("drift", port, environment, tmp_path)
    publish_batch(testbed.log, testbed.dataset, 1, 0, api_rows(0, 300, 1))
    drift.start()
    try:
        wait_until(lambda: driver_of(drift.pid), SECONDS, "a driver")
        wait_until(lambda: testbed.sql(sa.select(drift_reports)), SECONDS, "a report")
    finally:
        drift.stop()
