"""Starts everything, trains a model as the trainer does, and lets wrk post to one server after the other, in turns.

The table goes to the file that is given as the only argument, and to the terminal.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from support.batches import publish_batch
from support.http import ANSWERED, metric
from support.listings import api_rows
from support.trainings import ended
from support.world import World, eventually, free_base, free_port, http_status
from veleta.adapters.mlflow import MlflowRegistry
from veleta.tables import dataset_tables
from veleta_local.run import Run
from veleta_local.variables import Variables

CONNECTIONS = (1, 16, 64)
WINDOWS, WINDOW_SECONDS, WARM_SECONDS = 7, 5, 2
ROWS, TREES = 3_000, 500
HERE = Path(__file__).parent
OK = 200
PYTHON = sys.executable
SERVE = [str(Path(PYTHON).parent / "mlflow"), "models", "serve", "--env-manager", "local", "-m"]
NAMES = {
    "group": "Veleta, JOURNAL_SYNC=group",
    "none": "Veleta, JOURNAL_SYNC=none",
    "without": "Veleta, nothing stored",
    "echo": "aiohttp echo",
    "naive": "a data frame a request",
    "mlflow": "mlflow models serve",
}
HEAD = """| connections | server | requests/s | p50, ms | p99, ms | p99.9, ms | of the echo | times MLflow |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Subject:
    """A server that is measured: where it is posted to, and what."""

    name: str
    url: str
    body: Path


@dataclass(frozen=True)
class Window:
    """What wrk saw in a few seconds. Times are in milliseconds."""

    rate: float
    p50: float
    p99: float
    p999: float


Measured = dict[tuple[int, str], list[Window]]
"""By number of connections and name."""


def main() -> None:
    """Measure, and write the table."""
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing: apt-get install wrk")
    with world() as made, ExitStack() as stack:
        found = stack.enter_context(subjects(made, train(made)))
        report = table(measure(found)) + kept(made, found)
    Path(sys.argv[1]).write_text(report)
    print(report)


@contextmanager
def world() -> Iterator[World]:
    """A broker, a database, a registry and a deployment, for this run alone."""
    with tempfile.TemporaryDirectory(prefix="veleta-bench-") as folder:
        run = Run(Path(folder) / "home", Variables(port_base=str(free_base())), report=lambda _line: None)
        try:
            run.start_backing()
            (Path(folder) / "world").mkdir()
            made = World(run, Path(folder) / "world")
            assert made.prepare().returncode == 0
            yield made
            made.close()
        finally:
            run.stop()


def train(made: World) -> Path:
    """The champion that drift and trainer made of one batch; its native model."""
    publish_batch(made.log, made.dataset, 1, 0, list(api_rows(4, ROWS, 1)))
    with (
        made.service("drift", "drift"),
        made.service("trainer", "trainer", work=made.folder / "work", trees=TREES),
    ):
        eventually(lambda: ended(made, "1/0"), 600, "a model is trained")
    registry = MlflowRegistry(made.mlflow_uri, made.dataset.name)
    champion = registry.alias("champion")
    assert champion is not None
    return registry.download_native(champion, made.folder)


@contextmanager
def subjects(made: World, model: Path) -> Iterator[list[Subject]]:
    """Our service in its three ways, and what it is compared with; all of them up, and idle but for one."""
    row = {column.name: made.dataset.example[column.name] for column in made.dataset.inputs}
    ours, theirs = made.folder / "row.json", made.folder / "rows.json"
    ours.write_text(json.dumps(row))
    theirs.write_text(json.dumps({"dataframe_records": [row]}))
    settings = made.environment("inference", "inference", journal=made.folder / "none")
    port = iter(free_port, 0)
    with ExitStack() as stack:
        found = []
        for sync in ("group", "none"):
            given: dict[str, Any] = {"journal": made.folder / f"journal-{sync}", "journal_sync": sync}
            process = stack.enter_context(made.service("inference", "inference", **given))
            process.ready()
            found.append(Subject(sync, f"{process.url}/predict", ours))
        others: dict[str, tuple[list[str], Mapping[str, str], str, Path]] = {
            "without": ([PYTHON, "-m", "bench.unkept"], settings, "/predict", ours),
            "echo": ([PYTHON, "-m", "bench.echo", "{port}"], {}, "/predict", ours),
            "naive": (
                [PYTHON, "-m", "bench.naive", "{port}", str(model), str(made.dataset_path)],
                {},
                "/predict",
                ours,
            ),
            "mlflow": (
                [*SERVE, f"models:/{made.dataset.name}@champion", "-p", "{port}"],
                settings,
                "/invocations",
                theirs,
            ),
        }
        for name, (command, environment, path, body) in others.items():
            url = stack.enter_context(server(made, name, command, environment, next(port)))
            found.append(Subject(name, f"{url}{path}", body))
        yield found


@contextmanager
def server(made: World, name: str, command: Sequence[str], environment: Mapping[str, str], port: int) -> Iterator[str]:
    """A server that listens on the port: its address."""
    given = {**os.environ, "PYTHONPATH": str(HERE.parent), **environment, "INFERENCE_PORT": str(port)}
    with (made.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [word.format(port=port) for word in command], env=given, stdout=log, stderr=log, start_new_session=True
        )
    url, ready = f"http://127.0.0.1:{port}", "ping" if name == "mlflow" else "readyz" if name == "without" else "livez"
    try:
        eventually(lambda: http_status(f"{url}/{ready}") == OK, 120, f"{name} is ready")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def measure(found: Sequence[Subject]) -> Measured:
    """Each server in a window of its own, all of them in turns."""
    measured: Measured = {}
    for connections in CONNECTIONS:
        for subject in found:
            window(subject, connections, WARM_SECONDS)
        for _, subject in product(range(WINDOWS), found):
            measured.setdefault((connections, subject.name), []).append(window(subject, connections, WINDOW_SECONDS))
            print(".", end="", flush=True)
    print()
    return measured


def window(subject: Subject, connections: int, seconds: int) -> Window:
    """What wrk sees of a server in some seconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "wrk.lua")]
    environment = {**os.environ, "BODY": str(subject.body)}
    done = subprocess.run([*command, subject.url], env=environment, capture_output=True, text=True, check=True)
    said = json.loads(done.stderr.splitlines()[-1])
    if said["failed"]:
        sys.exit(f"bench: {subject.name}: {said['failed']} of {said['requests']} requests failed")
    return Window(said["requests"] / said["microseconds"] * 1e6, *(said[name] / 1e3 for name in ("p50", "p99", "p999")))


def table(measured: Measured) -> str:
    """Medians over the windows, and what they are of those of the echo and of MLflow."""
    lines = [HEAD]
    for (connections, name), windows in measured.items():
        middle = {each.name: statistics.median(getattr(w, each.name) for w in windows) for each in fields(Window)}
        rates = {other: statistics.median(w.rate for w in measured[connections, other]) for other in ("echo", "mlflow")}
        ratios = f"{middle['rate'] / rates['echo']:.2f} | {middle['rate'] / rates['mlflow']:.1f}"
        times = " | ".join(f"{middle[each]:.1f}" for each in ("p50", "p99", "p999"))
        lines.append(f"| {connections} | {NAMES[name]} | {middle['rate']:,.0f} | {times} | {ratios} |")
    return "\n".join(lines) + "\n"


def kept(made: World, found: Sequence[Subject]) -> str:
    """Whether each answered request is in MySQL: what the services counted, and what the table has."""
    answered = sum(answers(subject) for subject in found if subject.name in ("group", "none"))
    requests = dataset_tables(made.dataset).requests
    counted = sa.select(sa.func.count()).select_from(requests)
    eventually(lambda: made.sql(counted)[0][0] == answered, 120, f"{answered} answered requests are in MySQL")
    return f"\nOf {answered:,} answered requests {made.sql(counted)[0][0]:,} are in MySQL.\n"


def answers(subject: Subject) -> int:
    """How many requests the service answered with a price, as its metrics say."""
    return int(metric(subject.url.removesuffix("/predict"), ANSWERED))


if __name__ == "__main__":
    main()
