"""Sessions of Spark, and batches that they read from a real Kafka."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from kafka import TopicPartition
from pydantic import SecretStr
from pyspark.sql import DataFrame, SparkSession

from support.batches import publish_batch
from support.testbed import Testbed, free_port
from veleta.adapters.kafka_clients import Admin
from veleta.adapters.spark import read_ranges, spark_session
from veleta.errors import Retry
from veleta.events.catalogue import BatchClosed, OffsetRange
from veleta.settings import SparkSettings
from veleta.topics import topic

# PySpark does not close the sockets by which results arrive.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")


@pytest.fixture(scope="module")
def spark(
    settings: SparkSettings, testbed: Testbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkSession]:
    """One session for all tests."""
    folder = tmp_path_factory.mktemp("session")
    with spark_session(settings, testbed.kafka_as("trainer"), "test", folder, folder / "log") as session:
        yield session


@pytest.fixture(scope="module")
def batches(testbed: Testbed) -> list[BatchClosed]:
    """Three batches of 2,000 rows, one after the other in the topic."""
    rows = [testbed.dataset.example | {"price": 1000.0 + number} for number in range(2000)]
    return [publish_batch(testbed.log, testbed.dataset, 1, number, rows) for number in (1, 2, 3)]


def published(testbed: Testbed, ranges: Sequence[OffsetRange]) -> list[tuple[int, int, bytes]]:
    """Partition, offset and value of each record, as Kafka's own client reads them."""
    name = topic(testbed.dataset.name, "rows")
    records = (record for part in ranges for record in testbed.log.read(name, part.partition, part.first, part.last))
    return [(record.partition, record.offset, record.value) for record in records]


def read(frame: DataFrame) -> list[tuple[int, int, bytes]]:
    rows = frame.orderBy("partition", "offset").collect()
    return [(row.partition, row.offset, bytes(row.value)) for row in rows]


def frame_of(spark: SparkSession, testbed: Testbed, ranges: Sequence[OffsetRange]) -> DataFrame:
    return read_ranges(spark, testbed.kafka_as("trainer"), topic(testbed.dataset.name, "rows"), ranges)


def test_a_batch_is_read_exactly(spark: SparkSession, testbed: Testbed, batches: list[BatchClosed]) -> None:
    """From the first to the last record of its manifest, by more than one task, as a user with the trainer's rights."""
    before, batch, after = batches
    frame = frame_of(spark, testbed, batch.ranges)
    assert read(frame) == published(testbed, batch.ranges)
    assert {bytes(row.key).decode() for row in frame.select("key").collect()} == {batch.batch}
    assert frame.rdd.getNumPartitions() > 1
    assert before.ranges[0].last < batch.ranges[0].first <= batch.ranges[0].last < after.ranges[0].first


def test_several_ranges_are_read_each(spark: SparkSession, testbed: Testbed, batches: list[BatchClosed]) -> None:
    """Also of one partition, without what lies between them."""
    ranges = [*batches[0].ranges, *batches[2].ranges]
    assert read(frame_of(spark, testbed, ranges)) == published(testbed, ranges)


def test_a_batch_without_rows_has_no_record(spark: SparkSession, testbed: Testbed) -> None:
    """Its manifest has no range. The columns are the same."""
    frame = frame_of(spark, testbed, [])
    assert (frame.count(), frame.columns) == (0, ["key", "value", "partition", "offset", "headers"])


def test_records_that_are_gone_fail_the_job(spark: SparkSession, fresh_testbed: Testbed) -> None:
    """As those that retention deleted. A part of a batch is never taken for the whole."""
    rows = [fresh_testbed.dataset.example] * 500
    batch = publish_batch(fresh_testbed.log, fresh_testbed.dataset, 1, 1, rows)
    (part,) = batch.ranges
    name = TopicPartition(topic(fresh_testbed.dataset.name, "rows"), part.partition)
    with Admin(fresh_testbed.kafka, "test").connected() as admin:
        admin.delete_records({name: part.first + 2})
    with pytest.raises(Exception, match=r"(?i)offset"):
        frame_of(spark, fresh_testbed, batch.ranges).collect()


def test_time_stamps_are_in_utc(spark: SparkSession) -> None:
    """Whatever the zone of the machine is."""
    assert spark.sql("select string(timestamp_seconds(0)) as t").collect()[0].t == "1970-01-01 00:00:00"


_JOB = """
import os, sys
from pathlib import Path
from pydantic import SecretStr
from veleta.adapters.spark import read_ranges, spark_session
from veleta.events.catalogue import OffsetRange
from veleta.settings import KafkaSettings, SparkSettings
kafka = KafkaSettings()
wrong = kafka.model_copy(update={"password": SecretStr(sys.argv[2])})
with spark_session(SparkSettings(), kafka, "test", Path(sys.argv[3]), Path(sys.argv[3], "log")) as spark:
    for login in (kafka, wrong):
        frame = read_ranges(spark, login, sys.argv[1], [OffsetRange(partition=0, first=0, last=9)])
        try:
            frame.explain(True)
            print(frame.count(), "records")
        except Exception as error:
            print("refused", error)
assert not {"_SPARK_AUTH_SECRET", "SPARK_HOME"} & os.environ.keys()
"""


def test_the_password_is_in_no_output(
    settings: SparkSettings, testbed: Testbed, batches: list[BatchClosed], tmp_path: Path
) -> None:
    """Neither in a plan nor in the error of a refused login, nor in Spark's own log, which is a file."""
    environment = testbed.environment("trainer") | {"SPARK_JARS": str(settings.jars)}
    wrong = 'wr"on\\g'
    command = [sys.executable, "-c", _JOB, topic(testbed.dataset.name, "rows"), wrong, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    assert "10 records" in done.stdout
    assert "refused" in done.stdout
    assert "WARN" not in done.stdout + done.stderr
    log = (tmp_path / "log").read_text()
    assert "WARN" in log
    output = done.stdout + done.stderr + log
    assert not [each for each in (environment["KAFKA_PASSWORD"], wrong, wrong.replace("\\", "")) if each in output]


@pytest.mark.failure("F490")
def test_a_master_that_is_down_is_named(settings: SparkSettings) -> None:
    """Within five seconds, with host and port. Spark itself needs a minute, and reports another error."""
    address = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(Retry, match=f"^spark: no master answers at {address} "), _session(settings, address):
        pass
    assert time.monotonic() - began < 5


@pytest.mark.failure("F490")
def test_a_master_that_does_not_answer_is_named(settings: SparkSettings) -> None:
    """As one on a frozen machine: nobody accepts the connection. Several masters share the time."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with socket.create_connection(listening.getsockname()):  # it fills the queue
            began = time.monotonic()
            with pytest.raises(Retry, match="timed out"), _session(settings, f"{address},{address}"):
                pass
            assert time.monotonic() - began < 5


def _session(settings: SparkSettings, address: str) -> AbstractContextManager[SparkSession]:
    chosen = settings.model_copy(update={"master": f"spark://{address}", "secret": SecretStr("s")})
    return spark_session(chosen, None, "test", Path("none"), Path("none"))
