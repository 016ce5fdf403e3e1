"""Measures a training request, from the command to the promotion: `python -m bench.training FILE [SCALE] [TREES]`.

A run, as `make start` makes it, loads the generated batches. Then a person requests two trainings: the first one reads
batches that are new to the trainer, the second one does not. The result is a table of seconds and of memory. It is
printed, and written to FILE.
"""

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
import sqlalchemy as sa
from mlflow import MlflowClient

from support.testbed import admin_login, free_base, wait_until
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mysql import mysql_engine
from veleta.batches import read_events
from veleta.clock import utc_now
from veleta.dataset import load_dataset
from veleta.events import catalogue
from veleta.events.envelope import Event
from veleta.tables import batches, trainings
from veleta_local import processes
from veleta_local.run import Run
from veleta_local.send_command import send_command
from veleta_local.variables import Variables

DATASET = load_dataset("real_estate")
NOT_OURS = ("kafka", "mysql")
"""Parts whose memory is not that of our processes."""
SAMPLE_SECONDS = 0.2
SECONDS = 3_600


@dataclass(frozen=True)
class Measured:
    """Rows, seconds by phase, and the most memory (PSS) of all our processes and of the one that fits, in MB."""

    rows: int
    seconds: dict[str, float]
    memory: int
    fit_memory: int

    def cells(self) -> dict[str, str]:
        """What is measured by name, as text."""
        seconds = {name: f"{each:.1f} s" for name, each in self.seconds.items()}
        memory = {"all processes": f"{self.memory:,} MB", "the process that fits": f"{self.fit_memory:,} MB"}
        return {"rows": f"{self.rows:,}", **seconds, **memory}


def main() -> None:
    """Measure, print and write the table."""
    path, scale, trees = (*sys.argv[1:], *("1", "500")[len(sys.argv) - 2 :])
    with loaded(scale, trees) as run:
        first, second = (measure(run).cells() for _ in range(2))
    lines = ["| | first request | the next one |", "|---|---:|---:|"]
    lines += [f"| {name} | {cell} | {second[name]} |" for name, cell in first.items()]
    text = "\n".join(lines) + "\n"
    Path(path).write_text(text)
    print(text)


@contextmanager
def loaded(scale: str, trees: str) -> Iterator[Run]:
    """A run whose batches are loaded, and whose trainings have ended."""
    with tempfile.TemporaryDirectory(prefix="veleta-training-") as folder:
        variables = Variables(scale=scale, trees=trees, at_end="stop", poll_every="1", port_base=str(free_base()))
        run = Run(Path(folder) / "home", variables, report=lambda _line: None)
        try:
            run.start(SECONDS)
            wait_until(lambda: idle(run), SECONDS, "all batches are loaded, and all trainings have ended")
            yield run
        finally:
            run.stop()


def idle(run: Run) -> bool:
    """Whether all batches are loaded, and no training is in progress."""
    with mysql_engine(admin_login(run)).connect() as connection:
        states = list(connection.scalars(sa.select(batches.c.state)))
        unfinished = list(connection.scalars(sa.select(trainings.c.state).where(trainings.c.ended_at.is_(None))))
    return states == ["loaded"] * len(DATASET.source) and not unfinished


def measure(run: Run) -> Measured:
    """A training that a command requests, until it is explained."""
    requested = utc_now()
    with sampled(run) as peaks:
        send_command(run.kafka_operator, catalogue.Retrain, DATASET.name, reason="measured")
        wait_until(lambda: "training.finished" in training(run, requested), SECONDS, "the training ends")
        finished = training(run, requested)["training.finished"]
        wait_until(lambda: _explanation(run, finished) == "done", SECONDS, "the run is explained")
        explained = utc_now()
    began = training(run, requested)
    payload = finished.payload
    assert isinstance(payload, catalogue.TrainingFinished)
    decided = began["model.promoted" if payload.decision == "promoted" else "model.rejected"].time
    logged = MlflowClient(run.mlflow_url).get_run(payload.run_id).info.start_time / 1000
    marks = {
        "planning and start": began["reading"].time.timestamp(),
        "reading": began["building features"].time.timestamp(),
        "fit: features and trees": began["learning errors"].time.timestamp(),
        "fit: size of the errors": began["evaluating"].time.timestamp(),
        "evaluation": began["explaining"].time.timestamp() if "explaining" in began else logged,
        "explanation before the promotion": logged,
        "logging and registration": began["model.registered"].time.timestamp(),
        "decision": decided.timestamp(),
    }
    seconds, last = dict[str, float](), requested.timestamp()
    for name, end in marks.items():
        seconds[name], last = end - last, end
    seconds["request to promotion"] = decided.timestamp() - requested.timestamp()
    seconds["explanation after the promotion"] = explained.timestamp() - decided.timestamp()
    rows = int(payload.metrics["train_rows"] + payload.metrics["holdout_rows"])
    return Measured(rows, seconds, *(peak // 2**20 for peak in peaks))


def training(run: Run, requested: datetime) -> dict[str, Event]:
    """The events of the training since a request, by type; of its progress, the first of each phase by its name."""
    found: dict[str, Event] = {}
    with closing(KafkaLog(run.kafka, "bench")) as log:
        for name in ("training", "models"):
            for event in read_events(log, DATASET.name, name):
                phase = event.payload.phase if isinstance(event.payload, catalogue.TrainingProgress) else event.type
                if event.time > requested:
                    found.setdefault(phase, event)
    return found


@contextmanager
def sampled(run: Run) -> Iterator[list[int]]:
    """The most bytes (PSS) of all our processes, and of the process that fits, during the block."""
    peaks, ended = [0, 0], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            used = [0, 0]
            for part, found in processes.by_part(run.home).items():
                for process in found if part not in NOT_OURS else ():
                    with suppress(psutil.Error):  # it has ended by now
                        size = process.memory_full_info().pss
                        used[0] += size
                        used[1] += size if "veleta_trainer.fit" in process.cmdline() else 0
            peaks[:] = map(max, peaks, used)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _explanation(run: Run, finished: Event) -> str:
    assert isinstance(finished.payload, catalogue.TrainingFinished)
    tags = MlflowClient(run.mlflow_url).get_run(finished.payload.run_id).data.tags
    return str(tags.get("explanation", "done"))  # an earlier release explained before it logged


if __name__ == "__main__":
    main()
