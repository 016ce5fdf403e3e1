"""Starts all servers, trains a model with the trainer, and measures the servers with wrk, one window each in turn.

The result is a table. It is printed, and written to the file in the only argument.
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
from support.testbed import Testbed, free_base, free_port, http_status, wait_until
from support.trainings import ended
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
    "naive": "a data frame per request",
    "mlflow": "mlflow models serve",
}
HEAD = """| connections | server | requests/s | p50, ms | p99, ms | p99.9, ms | of the echo | times MLflow |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Subject:
    """A server that is measured, with the URL and the body of its requests."""

    name: str
    url: str
    body: Path


@dataclass(frozen=True)
class Window:
    """The result of wrk in a few seconds. Times are in milliseconds."""

    rate: float
    p50: float
    p99: float
    p999: float


Measurements = dict[tuple[int, str], list[Window]]
"""By number of connections and name of the server."""


def main() -> None:
    """Measure, print and write the table."""
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing: apt-get install wrk")
    with testbed() as made, ExitStack() as stack:
        servers = stack.enter_context(subjects(made, train(made)))
        report = table(measure(servers)) + stored(made, servers)
    Path(sys.argv[1]).write_text(report)
    print(report)


@contextmanager
def testbed() -> Iterator[Testbed]:
    """Kafka, a database, a registry and a deployment, for this run alone."""
    with tempfile.TemporaryDirectory(prefix="veleta-bench-") as folder:
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


def train(made: Testbed) -> Path:
    """Train a champion on one batch by drift and trainer. Returns its native model."""
    publish_batch(made.log, made.dataset, 1, 0, list(api_rows(4, ROWS, 1)))
    with (
        made.service("drift", "drift"),
        made.service("trainer", "trainer", work=made.folder / "work", trees=TREES),
    ):
        wait_until(lambda: ended(made, "1/0"), 600, "a model is trained")
    registry = MlflowRegistry(made.mlflow_uri, made.dataset.name)
    champion = registry.alias("champion")
    assert champion is not None
    return registry.download_native(champion, made.folder)


@contextmanager
def subjects(made: Testbed, model: Path) -> Iterator[list[Subject]]:
    """Three configurations of inference, and the servers it is compared with. All run; only one is loaded at a time."""
    row = {column.name: made.dataset.example[column.name] for column in made.dataset.inputs}
    ours, theirs = made.folder / "row.json", made.folder / "rows.json"
    ours.write_text(json.dumps(row))
    theirs.write_text(json.dumps({"dataframe_records": [row]}))
    settings = made.environment("inference", "inference", journal=made.folder / "none")
    port = iter(free_port, 0)
    with ExitStack() as stack:
        servers = []
        for sync in ("group", "none"):
            given: dict[str, Any] = {"journal": made.folder / f"journal-{sync}", "journal_sync": sync}
            process = stack.enter_context(made.service("inference", "inference", **given))
            process.wait_until_ready()
            servers.append(Subject(sync, f"{process.url}/predict", ours))
        others: dict[str, tuple[list[str], Mapping[str, str], str, Path]] = {
            "without": ([PYTHON, "-m", "bench.no_journal"], settings, "/predict", ours),
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
            servers.append(Subject(name, f"{url}{path}", body))
        yield servers


@contextmanager
def server(
    made: Testbed, name: str, command: Sequence[str], environment: Mapping[str, str], port: int
) -> Iterator[str]:
    """Run a server that listens on the port. Yields its address."""
    given = {**os.environ, "PYTHONPATH": str(HERE.parent), **environment, "INFERENCE_PORT": str(port)}
    with (made.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [word.format(port=port) for word in command], env=given, stdout=log, stderr=log, start_new_session=True
        )
    url, ready = f"http://127.0.0.1:{port}", "ping" if name == "mlflow" else "readyz" if name == "without" else "livez"
    try:
        wait_until(lambda: http_status(f"{url}/{ready}") == OK, 120, f"{name} is ready")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def measure(servers: Sequence[Subject]) -> Measurements:
    """Measure each server in windows of its own, in turn."""
    measurements: Measurements = {}
    for connections in CONNECTIONS:
        for subject in servers:
            window(subject, connections, WARM_SECONDS)
        for _, subject in product(range(WINDOWS), servers):
            measurements.setdefault((connections, subject.name), []).append(
                window(subject, connections, WINDOW_SECONDS)
            )
            print(".", end="", flush=True)
    print()
    return measurements


def window(subject: Subject, connections: int, seconds: int) -> Window:
    """Measure a server with wrk for some seconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "wrk.lua")]
    environment = {**os.environ, "BODY": str(subject.body)}
    done = subprocess.run([*command, subject.url], env=environment, capture_output=True, text=True, check=True)
    result = json.loads(done.stderr.splitlines()[-1])
    if result["failed"]:
        sys.exit(f"bench: {subject.name}: {result['failed']} of {result['requests']} requests failed")
    return Window(
        result["requests"] / result["microseconds"] * 1e6, *(result[name] / 1e3 for name in ("p50", "p99", "p999"))
    )


def table(measurements: Measurements) -> str:
    """The medians of the windows, and their ratios to those of the echo server and of MLflow."""
    lines = [HEAD]
    for (connections, name), windows in measurements.items():
        middle = {each.name: statistics.median(getattr(w, each.name) for w in windows) for each in fields(Window)}
        rates = {
            other: statistics.median(w.rate for w in measurements[connections, other]) for other in ("echo", "mlflow")
        }
        ratios = f"{middle['rate'] / rates['echo']:.2f} | {middle['rate'] / rates['mlflow']:.1f}"
        times = " | ".join(f"{middle[each]:.1f}" for each in ("p50", "p99", "p999"))
        lines.append(f"| {connections} | {NAMES[name]} | {middle['rate']:,.0f} | {times} | {ratios} |")
    return "\n".join(lines) + "\n"


def stored(made: Testbed, servers: Sequence[Subject]) -> str:
    """Check that each answered request is in MySQL: the counts of the services' metrics and of the table."""
    answered = sum(responses(subject) for subject in servers if subject.name in ("group", "none"))
    requests = dataset_tables(made.dataset).requests
    counted = sa.select(sa.func.count()).select_from(requests)
    wait_until(lambda: made.sql(counted)[0][0] == answered, 120, f"{answered} answered requests are in MySQL")
    return f"\nOf {answered:,} answered requests {made.sql(counted)[0][0]:,} are in MySQL.\n"


def responses(subject: Subject) -> int:
    """The number of requests that the service answered with a price, from its metrics."""
    return int(metric(subject.url.removesuffix("/predict"), ANSWERED))


if __name__ == "__main__":
    main()
