"""A standalone cluster of Spark, as `make spark-up` starts it, and fits on it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from catboost import CatBoostRegressor

from support.batches import publish_batch
from support.listings import api_rows
from support.spark import executors, fit_command, fit_environment, spark_environment
from support.testbed import Testbed, free_base, wait_until
from support.trainer import recipe
from veleta.batches import BatchReader
from veleta.service.health import NO_CORES, ServiceHealth
from veleta.settings import SparkSettings
from veleta_drift.adapters.spark_sampler import SparkBatchSampler
from veleta_drift.batch_sampler import LocalBatchSampler
from veleta_local import processes
from veleta_local.addresses import HOST
from veleta_local.deployment import Deployment
from veleta_local.errors import LocalError
from veleta_local.output import show
from veleta_local.spark_cluster import SparkCluster
from veleta_local.variables import Variables
from veleta_trainer.adapters.child_protocol import METRICS, MODEL, RECIPE, UNAVAILABLE
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import WAITING_FOR_CORES

SECONDS = 600
"""Until a step is given up: the machine may be busy."""
PARAMS = {"loss_function": "RMSE", "iterations": 300, "depth": 6, "random_seed": 0, "rsm": 0.3, "max_ctr_complexity": 1}
_COUNT = """
import sys
from pathlib import Path
from veleta.adapters.spark import spark_session
from veleta.settings import SparkSettings
with spark_session(SparkSettings(), None, "test", Path(sys.argv[1]), Path(sys.argv[1], "log")) as spark:
    print(spark.range(7).count())
"""
_HOLD = """
import sys, time
from pathlib import Path
from veleta.adapters.spark import spark_session
from veleta.settings import SparkSettings
with spark_session(SparkSettings(), None, "other", Path(sys.argv[1]), Path(sys.argv[1], "log")) as spark:
    spark.range(7).count()
    print("has all cores", flush=True)
    time.sleep(3600)
"""


@pytest.fixture(scope="module")
def planned(testbed: Testbed) -> Recipe:
    """A fit that takes some seconds."""
    batches = [publish_batch(testbed.log, testbed.dataset, 1, state, api_rows(state, 4_000, state)) for state in (0, 1)]
    return recipe(dataset=testbed.dataset.name, dataset_file=testbed.dataset.text, params=PARAMS, batches=batches)


class Fit:
    """The child process of a fit on the cluster, as the trainer starts it."""

    def __init__(self, folder: Path, planned: Recipe, testbed: Testbed, run: Deployment, jars: Path) -> None:
        folder.mkdir()
        (folder / RECIPE).write_text(planned.model_dump_json())
        self.folder = folder
        environment = fit_environment(testbed, jars, f"spark://{HOST}:{run.ports['spark']}") | {
            "SPARK_SECRET": run.spark_secret
        }
        self._output = folder.with_suffix(".out")
        with self._output.open("w") as output:
            self.process = subprocess.Popen(fit_command(folder), env=environment, stdout=output, stderr=output)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_until_it_fits(self) -> None:
        """The rows are read, and one executor learns."""
        wait_until(lambda: "fitting" in self.output or self.process.poll() is not None, SECONDS, "the fit")
        assert self.process.poll() is None, self.output

    def finish(self) -> CatBoostRegressor:
        """The model."""
        assert self.process.wait(SECONDS) == 0, self.output
        assert (self.folder / METRICS).exists()
        return CatBoostRegressor().load_model(str(self.folder / MODEL))


@pytest.fixture
def start_fit(
    tmp_path: Path, planned: Recipe, testbed: Testbed, settings: SparkSettings, run: Deployment, cluster: SparkCluster
) -> Iterator[Callable[[str], Fit]]:
    """Start a fit in a folder of this name. It is killed after the test."""
    fits: list[Fit] = []

    def start(name: str) -> Fit:
        fits.append(Fit(tmp_path / name, planned, testbed, run, settings.jars))
        return fits[-1]

    yield start
    for fit in fits:
        fit.process.kill()
        fit.process.wait(SECONDS)


def cpu_seconds(executor: psutil.Process) -> float:
    """The time of the Python processes of an executor, in which a fit runs."""
    total = 0.0
    for child in executor.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += child.cpu_times().user
    return total


def fitting_executor(cluster: SparkCluster) -> psutil.Process:
    """The executor whose Python processes work."""
    before = {executor: cpu_seconds(executor) for executor in executors(cluster)}
    busy = wait_until(
        lambda: [each for each in before if each.is_running() and cpu_seconds(each) > before[each] + 0.5],
        SECONDS,
        "an executor that fits",
    )
    return busy[0]


@pytest.mark.failure("F492")
def test_an_executor_that_is_killed_in_the_fit_changes_nothing(
    start_fit: Callable[[str], Fit], cluster: SparkCluster
) -> None:
    """Spark fits again on another executor, with the same rows in the same order."""
    undisturbed = start_fit("undisturbed").finish()
    fit = start_fit("killed")
    fit.wait_until_it_fits()
    executor = fitting_executor(cluster)
    executor.kill()
    model = fit.finish()
    assert "ExecutorLostFailure" in (fit.folder / "spark.log").read_text()
    assert np.array_equal(model.get_leaf_values(), undisturbed.get_leaf_values())


@pytest.mark.failure("F493")
def test_a_driver_that_is_killed_leaves_no_process(start_fit: Callable[[str], Fit], cluster: SparkCluster) -> None:
    """Neither its Java process nor an executor, within ten seconds. The cluster stays up."""
    fit = start_fit("driver")
    fit.wait_until_it_fits()
    java = psutil.Process(fit.process.pid).children(recursive=True)
    of_cluster = executors(cluster)
    started = [*java, *of_cluster, *(child for each in of_cluster for child in each.children(recursive=True))]
    assert java
    assert of_cluster
    fit.process.send_signal(signal.SIGKILL)
    fit.process.wait(SECONDS)
    _, left = psutil.wait_procs(started, 10)
    assert not left
    assert not executors(cluster)
    assert cluster.address


@contextmanager
def no_free_core(run: Deployment, cluster: SparkCluster, folder: Path) -> Iterator[None]:
    """Another application has all cores of the cluster while the block runs."""
    environment = {"PATH": os.environ["PATH"], "SPARK_MASTER": cluster.address, "SPARK_SECRET": run.spark_secret}
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        try:
            assert other.stdout.readline() == "has all cores\n"
            yield
        finally:
            other.kill()


@pytest.mark.failure("F497")
def test_a_fit_waits_for_a_core_and_says_so(
    start_fit: Callable[[str], Fit], run: Deployment, cluster: SparkCluster, tmp_path: Path
) -> None:
    """As long as another application has all. It repeats that it waits, so that the trainer knows that it is alive."""
    with no_free_core(run, cluster, tmp_path):
        fit = start_fit("waits")
        waited = lambda: fit.output.count(WAITING_FOR_CORES) == 2 or fit.process.poll() is not None  # noqa: E731
        wait_until(waited, SECONDS, "a fit that waits")
        assert fit.process.poll() is None, fit.output
        assert "fitting" not in fit.output
    fit.finish()
    phases = [json.loads(line)["phase"] for line in fit.output.splitlines()]
    reading = "reading on the cluster"
    assert phases[:5] == ["starting Spark", reading, WAITING_FOR_CORES, WAITING_FOR_CORES, reading]


@pytest.mark.failure("F497")
async def test_the_report_of_a_batch_waits_for_a_core_and_says_so(
    testbed: Testbed,
    settings: SparkSettings,
    run: Deployment,
    cluster: SparkCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then the executors of the cluster read what drift reads itself."""
    assert cluster.address
    environment = spark_environment(testbed, "drift", settings.jars, cluster.address)
    for name, value in (environment | {"SPARK_SECRET": run.spark_secret}).items():
        monkeypatch.setenv(name, value)
    health = ServiceHealth("drift")
    sampler = SparkBatchSampler(testbed.dataset, BatchReader(testbed.log), cluster.address, health)
    manifest = publish_batch(testbed.log, testbed.dataset, 1, 2, api_rows(2, 3_000, 2))
    with no_free_core(run, cluster, tmp_path):
        reading = asyncio.ensure_future(sampler.read(manifest))
        await asyncio.to_thread(wait_until, lambda: health.warnings or reading.done(), SECONDS, "a report that waits")
        assert health.warnings == {"spark": f"{NO_CORES}: the report of a batch waits"}
    found, expected = await reading, await LocalBatchSampler(testbed.dataset, testbed.log).read(manifest)
    assert repr(found.summary) == repr(expected.summary)
    assert found.rows == expected.rows
    assert not health.warnings


@pytest.mark.failure("F498")
def test_a_master_that_is_killed_in_the_fit_changes_nothing(
    start_fit: Callable[[str], Fit], run: Deployment, cluster: SparkCluster
) -> None:
    """The executors go on without it. The next fit is named and repeated, until there is a master again."""
    undisturbed = start_fit("with-master").finish()
    fit = start_fit("without-master")
    fit.wait_until_it_fits()
    [master] = processes.by_part(cluster.home)["master"]
    master.kill()
    master.wait(SECONDS)
    assert np.array_equal(fit.finish().get_leaf_values(), undisturbed.get_leaf_values())
    refused = start_fit("no-master")
    assert refused.process.wait(SECONDS) == UNAVAILABLE
    named = f"spark: no master answers at {HOST}:{run.ports['spark']} (Connection refused)"
    assert refused.output.splitlines()[-1] == named
    SparkCluster(run).up(2, 2048, show)
    assert np.array_equal(start_fit("again").finish().get_leaf_values(), undisturbed.get_leaf_values())


def test_a_session_needs_the_secret_of_the_cluster(
    testbed: Testbed, settings: SparkSettings, run: Deployment, cluster: SparkCluster, tmp_path: Path
) -> None:
    """Other accounts of the machine reach its port too, and an executor runs any code."""
    environment = {"PATH": os.environ["PATH"], "SPARK_MASTER": cluster.address, "SPARK_JARS": str(settings.jars)}

    def count(secret: str) -> subprocess.CompletedProcess[str]:
        given = environment | {"SPARK_SECRET": secret}
        command = [sys.executable, "-c", _COUNT, str(tmp_path)]
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=SECONDS)

    assert count(run.spark_secret).stdout == "7\n"
    refused = count("wrong")
    assert refused.returncode
    assert refused.stdout == ""


def test_what_is_up_stays_as_it_is(run: Deployment, cluster: SparkCluster) -> None:
    """A second `make spark-up` starts only what is missing, as a worker that was killed."""
    found = processes.by_part(cluster.home)
    before = {part: min(process.pid for process in found[part]) for part in found}
    assert sorted(before) == ["master", "worker-1", "worker-2"]
    os.kill(before["worker-2"], signal.SIGKILL)
    psutil.wait_procs(found["worker-2"], SECONDS)
    SparkCluster(run).up(2, 2048, show)
    after = {part: min(process.pid for process in each) for part, each in processes.by_part(cluster.home).items()}
    assert {part for part in after if after[part] == before[part]} == {"master", "worker-1"}
    assert "worker-2" in after


def test_only_this_machine_reaches_the_cluster(cluster: SparkCluster) -> None:
    """Each port of master and workers, also that of the pages."""
    listening = [
        connection.laddr.ip
        for process in processes.of_run(cluster.home)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 6
    assert {address.removeprefix("::ffff:") for address in listening} == {HOST}


def test_the_secret_is_in_no_argument(run: Deployment, cluster: SparkCluster) -> None:
    """Other accounts see arguments."""
    arguments = [argument for process in processes.of_run(cluster.home) for argument in process.cmdline()]
    assert arguments
    assert not [each for each in arguments if run.spark_secret in each]


def test_a_port_in_use_is_named(tmp_path: Path, cluster: SparkCluster, run: Deployment) -> None:
    """And nothing is left."""
    other = SparkCluster(Deployment(tmp_path / "home", Variables(port_base=run.variables.port_base)))
    with pytest.raises(LocalError, match=f"port {run.ports['spark']}, needed for spark, is in use"):
        other.up(1, 1024, show)
    assert other.address == ""
    assert not other.home.exists()
    assert cluster.address


def test_down_ends_all(tmp_path: Path) -> None:
    """No process is left. The address is then empty."""
    cluster = SparkCluster(Deployment(tmp_path / "home", Variables(port_base=free_base())))
    cluster.up(1, 1024, show)
    began = time.monotonic()
    cluster.down()
    assert time.monotonic() - began < SECONDS
    assert cluster.address == ""
    assert not processes.of_run(cluster.home)
