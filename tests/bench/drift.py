"""Measures what a verdict costs beside Evidently's drift preset: `python -m bench.drift FILE [ROWS]`.

Two batches are generated, of which the second one has ROWS rows. In turns, drift and Evidently compare it with the
first one, each in a new process. Drift is measured from `batch.closed` to the verdict: it reads and checks the rows of
the second batch, and has kept the statistics of the first one. All policies need a champion and the version before it;
without one only `seed` has a verdict. Evidently is measured without reading: it has both tables in memory. So drift's
statistics are also measured alone, on rows in memory. The result is a table of medians. It is printed, and written to
FILE.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import pandas as pd
import psutil
import sqlalchemy as sa
from mlflow import MlflowClient

from bench.__main__ import OK, testbed
from support.batches import TIME, publish_batch, send
from support.testbed import Testbed, free_port, http_status, wait_until
from support.trainings import ended, request_training
from veleta.adapters.mlflow import MlflowRegistry
from veleta.batches import Rows, RowsDigest
from veleta.dataset import load_dataset
from veleta.events.catalogue import BatchClosed
from veleta.events.envelope import encode
from veleta.ports import CHAMPION, PREVIOUS
from veleta.tables import drift_reports
from veleta.topics import topic
from veleta_drift.domain.statistics import ColumnValues
from veleta_local.deployment import ALLOCATOR
from veleta_poller.domain.events import CHUNK_ROWS, BatchEvents
from veleta_poller.domain.responses import Batch
from veleta_poller.domain.sequence import BatchId, Placement
from veleta_source.domain.row_generator import RowGenerator

DATASET = load_dataset("real_estate")
PLACES = (4, 5)
ROWS = 361_457
"""Those of the second batch as it is declared."""
ROUNDS, SEED, SECONDS, AT_ONCE = 5, 1, 600, 50
LEARNT, TREES = 15_000, 500
"""Rows of each of the two batches that the versions learn from."""
ROOT = Path(__file__).resolve().parents[2]
EVIDENTLY = ROOT / ".runtime/evidently"
"""Where `install.sh bench` puts Evidently."""
HEAD = """| | seconds | processor | memory at its peak | times drift's time | times its memory |
|---|---:|---:|---:|---:|---:|"""


@dataclass(frozen=True)
class Measured:
    """Seconds, those of a processor, and the most memory (RSS) of the process in MB, 0 if it is not measured."""

    seconds: float
    processor: float
    memory: float = 0


def main(report: Path, rows: int = ROWS) -> None:
    """Measure, print and write the table."""
    with testbed() as made:
        tables = generate(rows)
        frames = write_frames(made.folder, tables)
        train(made, tables[-1])
        results: dict[str, list[Measured]] = {}
        for each in range(1, ROUNDS + 1):
            serve(made, champion=True)
            results.setdefault("drift, all policies", []).append(verdict(made, 2 * each, tables))
            serve(made, champion=False)
            results.setdefault("drift without a champion, `seed` alone", []).append(verdict(made, 2 * each + 1, tables))
            results.setdefault("drift, its statistics alone", []).append(statistics(tables[-1]))
            for name, columns in (("numbers only", DATASET.drift_columns), ("all columns", _compared())):
                results.setdefault(f"Evidently's preset, {name}", []).append(preset(frames, columns))
            print(".", end="", flush=True)
    text = table(results)
    report.write_text(text)
    print(f"\n{text}")


def generate(rows: int) -> Sequence[Rows]:
    """The rows of both batches. The first one is smaller by as much as it is declared."""
    batches = RowGenerator(DATASET, rows / ROWS, SEED).batches()
    return [list(each) for place, each in batches if place in PLACES]


def train(made: Testbed, rows: Rows) -> None:
    """Train two versions, on one batch and on two."""
    with made.service("trainer", "trainer", work=made.folder / "work", trees=TREES):
        for number in range(2):
            batch = list(rows[number * LEARNT : (number + 1) * LEARNT])
            publish_batch(made.log, made.dataset, 1, number, batch)
            request_training(made, 1, number)
            wait_until(partial(ended, made, f"1/{number}"), SECONDS, "a version is trained")


def serve(made: Testbed, *, champion: bool) -> None:
    """Make the second version the champion that replaced the first one, or leave no champion."""
    if champion:
        registry = MlflowRegistry(made.mlflow_uri, made.dataset.name)
        registry.set_alias(CHAMPION, 2)
        registry.set_alias(PREVIOUS, 1)
    else:
        client = MlflowClient(made.mlflow_uri)
        for alias in (CHAMPION, PREVIOUS):
            client.delete_registered_model_alias(made.dataset.name, alias)


def write_frames(folder: Path, tables: Sequence[Rows]) -> list[Path]:
    """A Parquet file for each table."""
    paths = [folder / f"{number}.parquet" for number in range(len(tables))]
    for path, rows in zip(paths, tables, strict=True):
        pd.DataFrame(rows).to_parquet(path)
    return paths


def verdict(made: Testbed, epoch: int, tables: Sequence[Rows]) -> Measured:
    """Let a new process of drift compare the batches, which become those of an epoch."""
    with drift_process(made) as process:
        for number, rows in enumerate(tables):
            closed = publish_rows(made, epoch, number, rows)
            before, began = _processor(process), time.time()
            send(made.log, made.dataset, "batches", closed, "closed")
            wait_until(partial(_has_verdict, made, epoch, number), SECONDS, "there is a verdict")
        used = _processor(process) - before
        return Measured(made.events("drift")[-1].time.timestamp() - began, used, _peak_memory(process))


def statistics(rows: Rows) -> Measured:
    """Compute the statistics of rows in memory, by chunks as drift does."""
    began, used = time.perf_counter(), time.process_time()
    values = ColumnValues(DATASET)
    for start in range(0, len(rows), CHUNK_ROWS):
        values.add(rows[start : start + CHUNK_ROWS])
    values.summary()
    return Measured(time.perf_counter() - began, time.process_time() - used)


def publish_rows(made: Testbed, epoch: int, number: int, rows: Rows) -> BatchClosed:
    """Publish the rows of a batch as the poller does. Returns the manifest, which is not published."""
    digest = RowsDigest()
    digest.add(rows)
    placement, batch = Placement(BatchId(epoch, number)), Batch(number, rows, digest.hexdigest())
    events = BatchEvents(made.dataset, placement, batch, TIME)
    messages = (encode(topic(made.dataset.name, "rows"), event) for event in events.rows())
    offsets = list[tuple[int, int]]()
    while portion := list(islice(messages, AT_ONCE)):
        offsets += made.log.publish(portion)
    closed = events.closed(offsets, []).payload
    assert isinstance(closed, BatchClosed)
    return closed


@contextmanager
def drift_process(made: Testbed) -> Iterator[psutil.Process]:
    """Run drift."""
    port = free_port()
    environment = {**os.environ, **ALLOCATOR, **made.environment("drift", "drift", port=port)}
    with (made.folder / "drift.log").open("ab") as log:
        process = psutil.Popen([sys.executable, "-m", "veleta_drift"], env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: http_status(f"http://127.0.0.1:{port}/readyz") == OK, SECONDS, "drift is ready")
        yield process
    finally:
        process.terminate()
        process.wait(60)


def preset(frames: Sequence[Path], columns: Sequence[str]) -> Measured:
    """Let a new process of Evidently compare these columns of both tables."""
    numbers = [name for name in columns if DATASET.by_name[name].numeric]
    arguments = json.dumps({"numbers": numbers, "texts": [name for name in columns if name not in numbers]})
    environment = {**os.environ, "PYTHONPATH": str(EVIDENTLY), "DO_NOT_TRACK": "1"}
    command = [sys.executable, str(Path(__file__).with_name("preset.py")), *map(str, frames), arguments]
    with psutil.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        seconds, processor = json.loads(process.stdout.readline())
        return Measured(seconds, processor, _peak_memory(process))


def table(results: dict[str, list[Measured]]) -> str:
    """The medians, and their ratios to those of the first line."""
    lines, ours = [HEAD], None
    for name, rounds in results.items():
        middle = Measured(*map(median, zip(*map(astuple, rounds), strict=True)))
        ours = ours or middle
        memory = f"{middle.memory:.0f} MB", f"{middle.memory / ours.memory:.1f}"
        size, times = memory if middle.memory else ("", "")
        seconds = f"{middle.seconds:.2f} s | {middle.processor:.2f} s | {size} | {middle.seconds / ours.seconds:.1f}"
        lines.append(f"| {name} | {seconds} | {times} |")
    return "\n".join(lines) + "\n"


def _compared() -> list[str]:
    """Numbers, identifiers and categories that drift compares. The preset compares no dates."""
    return [c.name for c in DATASET.columns if c.kind != "date" and c.name not in DATASET.drift.ignore]


def _has_verdict(made: Testbed, epoch: int, number: int) -> bool:
    wanted = drift_reports.c.epoch == epoch, drift_reports.c.number == number
    return bool(made.sql(sa.select(drift_reports.c.verdict).where(*wanted)))


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _peak_memory(process: psutil.Process) -> float:
    """The most memory (RSS) that the process has had, in MB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
