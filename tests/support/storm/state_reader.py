"""Reads topics, tables and registry with plain clients. Of the project's code it uses only the column names."""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from typing import Any, Protocol
from urllib.error import URLError
from urllib.request import urlopen

import pymysql
from kafka import KafkaConsumer, TopicPartition
from mlflow import MlflowClient
from pymysql.cursors import SSDictCursor

from support.storm.audit import (
    ENDS,
    BatchId,
    BatchRow,
    Decision,
    Lines,
    StoredPrediction,
    SystemState,
    TopicEvent,
    Version,
)
from support.storm.expected_rows import canonical
from support.testbed import BackingServices, wait_until
from veleta.dataset import Dataset

KAFKA_SILENCE = 30.0
"""Seconds without a record after which reading a topic fails."""
LARGEST_FETCH = 8 * 1024 * 1024
HOST = "127.0.0.1"
JOURNAL_SECONDS = 60.0
"""How long inference may take to write its journal to MySQL."""


class Serving(BackingServices, Protocol):
    """A run, or a stack in containers."""

    def url(self, part: str) -> str:
        """The address of a part."""


class StateReader:
    """Reads the state of a run from outside."""

    def __init__(self, run: Serving, dataset: Dataset) -> None:
        self._run = run
        self._dataset = dataset

    def read(self) -> SystemState:
        """The whole state, after inference wrote its journal to MySQL."""
        wait_until(lambda: self._journal() == 0, JOURNAL_SECONDS, "the journal is empty")
        name = self._dataset.name
        batches = self._events("batches")
        requests = self._select(
            f"SELECT request_id, item, client_request_id, model_version, prediction FROM RAW_DATA.new_{name}"
        )
        return SystemState(
            batches=batches,
            drift=self._events("drift"),
            retrain=self._events("retrain"),
            training=self._events("training"),
            models=self._events("models"),
            deadletter=self._events("deadletter"),
            rows=self._rows(batches),
            batch_rows=[_batch_row(each) for each in self._select("SELECT * FROM PIPELINE.batches")],
            raw=self._lines(f"RAW_DATA.{name}"),
            clean=self._lines(f"CLEAN_DATA.{name}"),
            reports=[
                ((each["epoch"], each["number"]), each["verdict"])
                for each in self._select("SELECT epoch, number, verdict FROM PIPELINE.drift_reports")
            ],
            trainings=[
                (each["request_id"], each["state"], each["version"])
                for each in self._select("SELECT request_id, state, version FROM PIPELINE.trainings")
            ],
            decisions=[
                Decision(**each)
                for each in self._select("SELECT seq, version, decision, cause, reason FROM PIPELINE.promotions")
            ],
            outbox=self._count("PIPELINE.outbox"),
            versions=self._versions(),
            running=self._running(),
            served=self._served(),
            requests=[StoredPrediction(*each.values()) for each in requests],
        )

    def unsettled(self) -> list[str]:
        """What is still under way, in words."""
        closed = {event.batch_id for event in self._events("batches") if event.type == "batch.closed"}
        requested = {event.id for event in self._events("retrain")}
        loaded = self._select("SELECT epoch, number FROM PIPELINE.batches WHERE state = 'loaded'")
        assessed = self._select("SELECT epoch, number FROM PIPELINE.drift_reports")
        lines = self._select("SELECT request_id, state FROM PIPELINE.trainings")
        ended = {each["request_id"] for each in lines if each["state"] in ENDS}
        promoted = self._select("SELECT version FROM PIPELINE.promotions WHERE decision = 'promoted' ORDER BY seq")
        due = promoted[-1]["version"] if promoted else 0
        left = {
            "batches to load": len(closed) - len(list(loaded)),
            "verdicts to give": len(closed) - len(list(assessed)),
            "requests to train": len(requested - ended),
            "events in the outbox": self._count("PIPELINE.outbox"),
            "champion to serve": int(self._served() != due),
        }
        return [f"{count} {what}" for what, count in left.items() if count]

    def _events(self, name: str) -> list[TopicEvent]:
        """Every record of a topic."""
        state = []
        for record in self._records(f"{self._dataset.name}.{name}"):
            headers = {key: value.decode() for key, value in record.headers}
            state.append(TopicEvent(headers["ce_id"], headers["ce_type"], json.loads(record.value)))
        return state

    def _rows(self, batches: Sequence[TopicEvent]) -> dict[BatchId, list[str]]:
        """The rows of each batch at the offsets of its last manifest, without records of other batches."""
        manifests = {event.batch_id: event.value for event in batches if event.type == "batch.closed"}
        chunks: dict[tuple[str, int, int], list[str]] = {}
        for record in self._records(f"{self._dataset.name}.rows"):
            lines = [canonical(row) for row in json.loads(record.value)["rows"]]
            chunks[record.key.decode(), record.partition, record.offset] = lines
        state: dict[BatchId, list[str]] = {}
        for (epoch, number), manifest in manifests.items():
            key = f"{self._dataset.name}/{epoch}/{number}"
            state[epoch, number] = [
                text
                for part in manifest["ranges"]
                for offset in range(part["first"], part["last"] + 1)
                for text in chunks.get((key, part["partition"], offset), [])
            ]
        return state

    def _records(self, topic: str) -> Iterator[Any]:
        consumer = KafkaConsumer(
            bootstrap_servers=self._run.kafka.bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=LARGEST_FETCH,
        )
        with closing(consumer):
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            ends = {batch_id: end for batch_id, end in consumer.end_offsets(places).items() if end}
            consumer.assign(list(ends))
            last_record = time.monotonic()
            while any(consumer.position(batch_id) < end for batch_id, end in ends.items()):
                for records in consumer.poll(timeout_ms=1000).values():
                    last_record = time.monotonic()
                    yield from records
                assert time.monotonic() - last_record < KAFKA_SILENCE, f"no record from {topic}"

    def _select(self, query: str) -> list[dict[str, Any]]:
        return list(self._stream(query))

    def _stream(self, query: str) -> Iterator[dict[str, Any]]:
        """The rows of a query, streamed."""
        user, password = self._run.mysql_user, self._run.mysql_password
        connection = pymysql.connect(
            host=HOST, port=self._run.mysql_port, user=user, password=password, cursorclass=SSDictCursor
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(query)
            yield from cursor

    def _count(self, table: str) -> int:
        return int(self._select(f"SELECT COUNT(*) AS n FROM {table}")[0]["n"])

    def _lines(self, table: str) -> dict[BatchId, Lines]:
        """The rows of RAW_DATA or CLEAN_DATA as received: values of the column `rest` are merged back."""
        state: dict[BatchId, Lines] = defaultdict(list)
        for row in self._stream(f"SELECT * FROM {table}"):
            batch_id, number = (row.pop("epoch"), row.pop("number")), row.pop("row_no")
            rest = json.loads(row.pop("rest", None) or "{}")
            values = {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
            there = {name: value for name, value in values.items() if value is not None}
            state[batch_id].append((number, canonical({**there, **rest})))
        return dict(state)

    def _versions(self) -> list[Version]:
        client, name = MlflowClient(self._run.mlflow_url), self._dataset.name
        state = []
        for each in client.search_model_versions(f"name = '{name}'", max_results=1000):
            version = client.get_model_version(name, each.version)
            run_id = version.run_id or ""
            champion = "champion" in version.aliases
            state.append(Version(int(version.version), run_id, client.get_run(run_id).info.status, champion))
        return state

    def _running(self) -> list[str]:
        client = MlflowClient(self._run.mlflow_url)
        experiments = [each.experiment_id for each in client.search_experiments()]
        return [run.info.run_name for run in client.search_runs(experiments, "attributes.status = 'RUNNING'")]

    def _served(self) -> int:
        """The version that inference serves; 0 if it does not respond."""
        try:
            with urlopen(f"{self._run.url('inference')}/model", timeout=10) as answer:
                return int(json.loads(answer.read())["version"])
        except (URLError, OSError):
            return 0

    def _journal(self) -> int:
        """Bytes in the journal of inference; 1 if it does not respond."""
        try:
            with urlopen(f"{self._run.url('inference')}/metrics", timeout=10) as answer:
                (held,) = re.findall(rb'^veleta_journal_bytes{journal="answered"} (\S+)', answer.read(), re.MULTILINE)
        except (URLError, OSError):
            return 1
        return int(float(held))


def _batch_row(each: dict[str, Any]) -> BatchRow:
    rejected = sum(json.loads(each["rejected"] or "{}").values())
    return BatchRow(
        (each["epoch"], each["number"]), each["state"], each["received"] or 0, each["cleaned"] or 0, rejected
    )
