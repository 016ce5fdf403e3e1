"""Measures starts and batches after 10, 1,000 and 100,000 old batches: `python -m bench.history FILE [SIZES]`.

The result is a table of seconds, records read from Kafka, and memory. It is printed, and written to FILE.
"""

import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from support.batches import TIME, publish_batch
from support.history import AFTER_RUNNING_EPOCH, place, publish_old_batches
from support.listings import api_rows
from support.testbed import Process, Testbed, free_base, free_port, wait_until
from support.trainings import request_training
from veleta.clock import for_sql
from veleta.events import catalogue
from veleta.events.envelope import Event, Message, encode
from veleta.tables import batches, checkpoints, drift_reports, promotions, trainings
from veleta.topics import TopicName, topic
from veleta_local.run import Run
from veleta_local.variables import Variables

SIZES = (10, 1_000, 100_000)
BATCHES_PER_TRAINING = 10
ROWS = 300
AT_ONCE = 2_000
OLD_VERSION = 1_000_000
"""The first version number of the history. The registry has none of them."""
SECONDS = 600


@dataclass(frozen=True)
class Measured:
    """Seconds, records read from Kafka, and memory (RSS) in MB."""

    seconds: float
    records: int
    memory: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.records:,}, {self.memory} MB"


def main() -> None:
    """Measure, print and write the table."""
    sizes = tuple(map(int, sys.argv[2:])) or SIZES
    results = {old: measure(old) for old in sizes}
    head = f"| seconds, records read, memory | {' | '.join(f'{old:,} old batches' for old in sizes)} |"
    lines = [head, "|---" * (len(sizes) + 1) + "|"]
    names = list(results[sizes[0]])
    lines += [f"| {name} | {' | '.join(str(results[old][name]) for old in sizes)} |" for name in names]
    text = "\n".join(lines) + "\n"
    Path(sys.argv[1]).write_text(text)
    print(text)


def measure(old: int) -> dict[str, Measured]:
    """All measurements after a history of this length, on a deployment of its own."""
    with deployment() as made:
        write_history(made, old)
        publish_batch(made.log, made.dataset, AFTER_RUNNING_EPOCH, 0, list(api_rows(4, ROWS, 1)))
        results = dict(fill_tables(made))
        results |= drift(made) | trainer(made) | inference(made) | poller(made)
    return results


@contextmanager
def deployment() -> Iterator[Testbed]:
    """Kafka, a database, a registry and a deployment."""
    with tempfile.TemporaryDirectory(prefix="veleta-history-") as folder:
        run = Run(Path(folder) / "home", Variables(port_base=str(free_base())), report=lambda _line: None)
        try:
            run.start_backing()
            (Path(folder) / "testbed").mkdir()
            made = Testbed(run, Path(folder) / "testbed")
            assert made.prepare().returncode == 0
            yield made
            made.close()
        finally:
            run.stop()


def fill_tables(made: Testbed) -> Iterator[tuple[str, Measured]]:
    """The first start after an upgrade: the tables of manifests are filled, and a champion is trained."""
    settings = {"work": made.folder / "work", "trees": 10}
    with counted(made, "drift") as process, counted(made, "trainer", **settings) as second:
        yield (
            "drift and trainer, once after an upgrade",
            measured([process, second], lambda: _ended(made, 0)),
        )


def drift(made: Testbed) -> dict[str, Measured]:
    """A start, and a batch."""
    with counted(made, "drift") as process:
        start = measured([process], process.is_ready)
        before = process.records()
        publish_batch(made.log, made.dataset, AFTER_RUNNING_EPOCH, 1, list(api_rows(4, ROWS, 2)))
        batch = measured([process], lambda: _has_verdict(made, 1), before)
    return {"drift: start": start, "drift: a batch": batch}


def trainer(made: Testbed) -> dict[str, Measured]:
    """A start, and the planning of a training."""
    with counted(made, "trainer", work=made.folder / "work", trees=10) as process:
        start = measured([process], process.is_ready)
        wait_until(lambda: not _waiting(made), SECONDS, "nothing waits")
        before = process.records()
        publish_batch(made.log, made.dataset, AFTER_RUNNING_EPOCH, 2, list(api_rows(4, ROWS, 3)))
        request_training(made, AFTER_RUNNING_EPOCH, 2)
        name = f"{made.dataset.name}/{AFTER_RUNNING_EPOCH}/2/retrain"
        plan = measured([process], lambda: _started(made, name), before)
        wait_until(lambda: _ended(made, 2), SECONDS, "the training ends")
    return {"trainer: start": start, "trainer: planning": plan}


def inference(made: Testbed) -> dict[str, Measured]:
    """A start, until a model is served."""
    with counted(made, "inference") as process:
        return {"inference: start": measured([process], process.is_ready)}


def poller(made: Testbed) -> dict[str, Measured]:
    """A start without its state, a start with it, and a batch."""
    with made.service("source", None, csv="", scale=0.001, seed=5, state=made.folder / "source") as source:
        source.wait_until_ready()
        given: dict[str, Any] = {"inbox": made.folder / "inbox", "api_url": source.url, "group_number": 7}
        with counted(made, "poller", **given, poll_every=600) as process:
            lost = measured([process], process.is_ready)
        with counted(made, "poller", **given, poll_every=600) as process:
            start = measured([process], process.is_ready)
    return {"poller: start without its state": lost, "poller: start and a batch": start}


class Counted(Process):
    """A process whose reads are counted."""

    def __init__(self, made: Testbed, name: str, port: int, environment: dict[str, str]) -> None:
        super().__init__(name, port, environment | {"COUNT": str(made.folder / f"{name}.count")}, made.folder)
        self._count = made.folder / f"{name}.count"
        self._count.unlink(missing_ok=True)
        self._command = ["bench.counted", name]

    def records(self) -> int:
        """Records read since its start."""
        return int(struct.unpack("q", self._count.read_bytes())[0]) if self._count.exists() else 0

    def is_ready(self) -> bool:
        """Whether /readyz is 200."""
        try:
            self.wait_until_ready(0.01)
        except AssertionError:
            return False
        return True


@contextmanager
def counted(made: Testbed, name: str, **settings: Any) -> Iterator[Counted]:
    """Run a process of a service whose reads are counted."""
    port, user = free_port(), name if name != "poller" else None
    process = Counted(made, name, port, made.environment(name, user, port=port, **settings))
    try:
        process.start()
        yield process
    finally:
        process.kill()


def measured(processes: list[Counted], done: Callable[[], object], records_before: int = 0) -> Measured:
    """Wait until something is done."""
    began = time.monotonic()
    wait_until(done, SECONDS, "it is done")
    seconds = time.monotonic() - began
    records = sum(process.records() for process in processes) - records_before
    return Measured(seconds, records, sum(process.memory() for process in processes) // 1_000_000)


def write_history(made: Testbed, old: int) -> None:
    """Topics and tables as they are after many batches, all of them processed."""
    publish_old_batches(made.log, made.dataset, old, "old epochs")
    publish(made, "drift", (_report(made, *place(index, "old epochs")) for index in range(old)))
    trained = range(old // BATCHES_PER_TRAINING)
    publish(made, "retrain", (_requested(made, index) for index in trained))
    publish(made, "training", (event for index in trained for event in _training(made, index)))
    publish(made, "models", (event for index in trained for event in _models(made, index)))
    at = for_sql(TIME)
    keys = [dict(zip(("epoch", "number"), place(index, "old epochs"), strict=True)) for index in range(old)]
    insert(made, batches, [{**key, "state": "loaded", "loaded_at": at} for key in keys])
    report = {"previous": None, "verdict": "no drift", "reason": "r", "policy": "p", "assessed_at": at}
    insert(made, drift_reports, [{**key, **report} for key in keys])
    insert(made, trainings, [_training_row(made, index) for index in trained])
    insert(made, promotions, [_promotion_row(made, index) for index in trained])
    consumed: dict[str, tuple[TopicName, ...]] = {
        "drift": ("batches", "drift"),
        "trainer": ("batches", "retrain", "training", "models"),
    }
    insert(made, checkpoints, [_checkpoint(made, s, name) for s, names in consumed.items() for name in names])
    commit_offset(made, f"{made.dataset.name}.drift")


def publish(made: Testbed, name: TopicName, events: Iterator[Event]) -> None:
    """Publish many events."""
    messages: Iterator[Message] = (encode(topic(made.dataset.name, name), event) for event in events)
    while portion := list(islice(messages, AT_ONCE)):
        made.log.publish(portion)


def commit_offset(made: Testbed, group: str) -> None:
    """Commit the end of `batches`, from which Faust would otherwise pass on each old record once."""
    name = topic(made.dataset.name, "batches")
    ends = {(name, 0): made.log.bounds(name)[0][1]}
    with closing(made.log.subscribe([name], group, ends)) as subscription:
        subscription.commit(ends)


def insert(made: Testbed, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert many rows."""
    for start in range(0, len(rows), AT_ONCE):
        with made.admin.begin() as connection:
            connection.execute(sa.insert(table), rows[start : start + AT_ONCE])


def _report(made: Testbed, epoch: int, number: int) -> Event:
    payload = catalogue.DriftAssessed(
        dataset=made.dataset.name,
        epoch=epoch,
        number=number,
        previous=None,
        verdict="no drift",
        reason="r",
        policy="p",
        threshold=0.15,
        dataset_digest=made.dataset.digest,
    )
    return Event(f"{payload.batch}/assessed", "drift", TIME, payload)


def _name(made: Testbed, index: int) -> str:
    epoch, number = place(index * BATCHES_PER_TRAINING, "old epochs")
    return f"{made.dataset.name}/{epoch}/{number}/retrain"


def _requested(made: Testbed, index: int) -> Event:
    epoch, number = place(index * BATCHES_PER_TRAINING, "old epochs")
    batch: dict[str, Any] = {"dataset": made.dataset.name, "epoch": epoch, "number": number}
    payload = catalogue.RetrainRequested(**batch, reason="r", first=False, batches=[])
    return Event(_name(made, index), "drift", TIME, payload)


def _training(made: Testbed, index: int) -> Iterator[Event]:
    name = _name(made, index)
    recipe = _recipe(made, index)
    yield Event(f"{name}/started", "trainer", TIME, catalogue.TrainingStarted(request_id=name, recipe=recipe))
    finished = catalogue.TrainingFinished(
        request_id=name, run_id="r", version=OLD_VERSION + index, decision="rejected", metrics={"mae": 1.0}
    )
    yield Event(f"{name}/finished", "trainer", TIME, finished)


def _models(made: Testbed, index: int) -> Iterator[Event]:
    name, version = _name(made, index), OLD_VERSION + index
    common: dict[str, Any] = {"model": made.dataset.name, "version": version, "run_id": "r", "metrics": {"mae": 1.0}}
    registered = catalogue.ModelRegistered(**common, recipe=_recipe(made, index), native="models:/n")
    yield Event(f"{name}/registered", "trainer", TIME, registered)
    causes = catalogue.Causes(training=f"{name}/started", request=name, report=None, reason="r", batches=[])
    rejected = catalogue.ModelRejected(**common, seq=index + 1, champion=1, reason="r", causes=causes)
    yield Event(f"{name}/rejected", "trainer", TIME, rejected)


def _recipe(made: Testbed, index: int) -> dict[str, Any]:
    return {"request_id": _name(made, index), "dataset_file": "d", "batches": []}


def _training_row(made: Testbed, index: int) -> dict[str, Any]:
    at = for_sql(TIME + timedelta(seconds=index))
    return {
        "request_id": _name(made, index),
        "state": "finished",
        "cause": {},
        "recipe": _recipe(made, index),
        "version": OLD_VERSION + index,
        "requested_at": at,
        "ended_at": at,
    }


def _promotion_row(made: Testbed, index: int) -> dict[str, Any]:
    row = {"version": OLD_VERSION + index, "previous": 1, "decision": "rejected", "reason": "r", "actor": "trainer"}
    return {**row, "seq": index + 1, "cause": _name(made, index), "decided_at": for_sql(TIME)}


def _checkpoint(made: Testbed, service: str, name: TopicName) -> dict[str, Any]:
    full = topic(made.dataset.name, name)
    return {"service": service, "topic": full, "partition_no": 0, "next_offset": made.log.bounds(full)[0][1]}


def _has_verdict(made: Testbed, number: int) -> bool:
    wanted = drift_reports.c.epoch == AFTER_RUNNING_EPOCH, drift_reports.c.number == number
    return bool(made.sql(sa.select(drift_reports.c.verdict).where(*wanted)))


def _started(made: Testbed, name: str) -> bool:
    return any(row.started_at for row in _rows(made, name))


def _ended(made: Testbed, number: int) -> bool:
    name = f"{made.dataset.name}/{AFTER_RUNNING_EPOCH}/{number}/retrain"
    return any(row.ended_at for row in _rows(made, name))


def _rows(made: Testbed, request_id: str) -> Sequence[sa.Row[Any]]:
    return made.sql(sa.select(trainings).where(trainings.c.request_id == request_id))


def _waiting(made: Testbed) -> Sequence[sa.Row[Any]]:
    return made.sql(sa.select(trainings.c.request_id).where(trainings.c.ended_at.is_(None)))


if __name__ == "__main__":
    main()
