"""The rows of a file are priced by executors of Spark, as by processes of this machine."""

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.models import Models
from support.scoring import COMMAND, champion, environment, new_rows, read_rows, score, write_rows
from support.spark import executors
from support.testbed import Testbed, free_port, wait_until
from veleta_inference.adapters.input_chunks import CHUNK_ROWS
from veleta_local.deployment import Deployment
from veleta_local.spark_cluster import SparkCluster

SECONDS = 300
"""Until a step is given up: the machine may be busy."""
THREADS = {"engine": "spark", "spark_master": "local[2,4]"}
INTERRUPTED = "interrupted: what is complete is kept, and the same command goes on\n"


@pytest.fixture(scope="module", autouse=True)
def models(testbed: Testbed) -> Models:
    """The champion, version 1."""
    return champion(testbed)


@pytest.fixture(scope="module")
def rows() -> Sequence[dict[str, Any]]:
    """Rows of four chunks."""
    return new_rows(600) * (4 * CHUNK_ROWS // 600)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(testbed: Testbed, **variables: object) -> "subprocess.Popen[str]":
    given = environment(testbed, **variables)
    return subprocess.Popen(COMMAND, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_it_scores(job: "subprocess.Popen[str]", out: Path) -> None:
    """One chunk is complete, and the others are not."""
    first = out.with_name(f".{out.name}.chunks") / "0.refused"
    wait_until(lambda: first.exists() or job.poll() is not None, SECONDS, "the first chunk")
    assert job.poll() is None, job.communicate()


def test_both_engines_write_the_same_files(testbed: Testbed, rows: Sequence[dict[str, Any]], tmp_path: Path) -> None:
    """Prices and errors, from a CSV and from a Parquet file. Nothing else stays."""
    changed = [dict(row) for row in rows]
    for number in (3, 15_000, len(rows) - 1):
        changed[number] |= {"bed": "four", "city": ""}
    write_rows(tmp_path / "rows.csv", changed)
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("1,2\n")
    pq.write_table(pa.Table.from_pylist(list(rows)), tmp_path / "rows.parquet")
    written = set()
    for engine in ({}, THREADS):
        for given, suffix in (("csv", "csv"), ("csv", "parquet"), ("parquet", "parquet"), ("parquet", "csv")):
            out = tmp_path / f"{given}-{engine.get('engine', 'local')}.{suffix}"
            done = score(testbed, **{given: tmp_path / f"rows.{given}"}, out=out, **engine)
            assert (done.returncode, done.stderr) == (0, "")
            written |= {out.name, *([f"{out.name}.errors.csv"] if given == "csv" else ())}
    assert names(tmp_path) == sorted({"rows.csv", "rows.parquet", *written})
    for name in written:
        path = tmp_path / name
        assert path.read_bytes() == (tmp_path / name.replace("-spark", "-local")).read_bytes()
    assert {row["row"] for row in read_rows(tmp_path / "csv-spark.csv.errors.csv")} == {
        "3", "15000", str(len(rows) - 1), str(len(rows)),
    }  # fmt: skip


@pytest.mark.failure("F600")
@pytest.mark.parametrize(
    ("number", "ending", "then"), [(signal.SIGKILL, (-9, ""), THREADS), (signal.SIGINT, (1, INTERRUPTED), {})]
)
def test_a_job_that_was_killed_goes_on(
    number: signal.Signals,
    ending: tuple[int, str],
    then: dict[str, str],
    testbed: Testbed,
    rows: Sequence[dict[str, Any]],
    tmp_path: Path,
) -> None:
    """On either engine, with the chunks that were complete. No process of the killed one is left."""
    path, out = write_rows(tmp_path / "rows.csv", rows), tmp_path / "prices.csv"
    job = start(testbed, csv=path, out=out, **THREADS)
    wait_until_it_scores(job, out)
    started = psutil.Process(job.pid).children(recursive=True)
    job.send_signal(number)
    _, error = job.communicate()
    assert (job.returncode, error) == ending
    _, left = psutil.wait_procs(started, 10)
    assert not left
    assert not out.exists()
    first = tmp_path / ".prices.csv.chunks/0.csv"
    first.write_bytes(first.read_bytes().replace(b",1,", b",first start,", 1))  # this chunk is not computed again
    done = score(testbed, csv=path, out=out, **then)
    assert (done.returncode, done.stderr) == (0, "")
    assert "rows of an earlier start are kept" in done.stdout
    assert [row["model_version"] for row in read_rows(out)] == ["first start"] + ["1"] * (len(rows) - 1)
    assert names(tmp_path) == ["prices.csv", "rows.csv"]


@pytest.mark.failure("F609")
def test_an_executor_that_is_killed_changes_nothing(
    testbed: Testbed, rows: Sequence[dict[str, Any]], run: Deployment, cluster: SparkCluster, tmp_path: Path
) -> None:
    """Its chunks are scored again by another one."""
    path, out = write_rows(tmp_path / "rows.csv", rows), tmp_path / "prices.csv"
    job = start(testbed, csv=path, out=out, engine="spark", spark_master=cluster.address, spark_secret=run.spark_secret)
    wait_until_it_scores(job, out)
    executors(cluster)[0].kill()
    output, error = job.communicate(timeout=SECONDS)
    assert (job.returncode, error) == (0, ""), output
    assert score(testbed, csv=path, out=tmp_path / "local.csv").returncode == 0
    assert out.read_bytes() == (tmp_path / "local.csv").read_bytes()


@pytest.mark.failure("F607")
def test_java_that_ends_ends_the_job(testbed: Testbed, rows: Sequence[dict[str, Any]], tmp_path: Path) -> None:
    """The last line says which rows were not scored: PySpark has lines of its own. What is complete stays."""
    path, out = write_rows(tmp_path / "rows.csv", rows), tmp_path / "prices.csv"
    job = start(testbed, csv=path, out=out, **THREADS)
    wait_until_it_scores(job, out)
    [java] = [each for each in psutil.Process(job.pid).children() if "java" in each.name()]
    java.kill()
    _, error = job.communicate(timeout=SECONDS)
    assert job.returncode == 1
    assert error.splitlines()[-1].startswith("a job of Spark failed, while it scored the rows from ")
    assert (tmp_path / ".prices.csv.chunks/0.refused").exists()


@pytest.mark.failure("F608")
def test_a_master_that_is_down_is_named(testbed: Testbed, tmp_path: Path) -> None:
    """Before a row is read. Nothing is left."""
    path, port, began = write_rows(tmp_path / "rows.csv", new_rows(60)), free_port(), time.monotonic()
    out = tmp_path / "prices.csv"
    done = score(testbed, csv=path, out=out, engine="spark", spark_master=f"spark://127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"spark: no master answers at 127.0.0.1:{port} (Connection refused)\n"
    assert time.monotonic() - began < 60, "Python alone may need seconds to start on a busy machine"
    assert names(tmp_path) == ["rows.csv"]
