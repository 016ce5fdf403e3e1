"""The trainer, drift and `score` on a cluster of Apache Spark in containers."""

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.http import get, post
from support.listings import api_rows
from support.repository import ROOT
from support.stack import Stack, docker, docker_json
from support.testbed import http_status, wait_until
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")
WORKERS, ROWS = 2, 300
PROMOTED_SECONDS = 600
READ_STATE = "import urllib.request as r; print(r.urlopen('http://spark-master:8080/json/').read().decode())"
IMAGES = ("spark", "spark-drift", "spark-score")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `score`, to which the user of the image may write."""
    folder = tmp_path_factory.mktemp("rows")
    folder.chmod(0o777)
    with (folder / "houses.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, DATASET.names)
        writer.writeheader()
        writer.writerows(api_rows(0, ROWS, 1))
    return folder


@pytest.fixture(scope="module")
def stack(images: None, folder: Path) -> Iterator[Stack]:
    """One batch was closed and measured, and a model of its rows was promoted."""
    files = ["--file", "compose.yaml", "--file", "compose/spark.yaml"]
    subprocess.run(["docker", "compose", *files, "--profile", "score", "build", "--quiet"], cwd=ROOT, check=True)
    made = Stack(
        "veleta-spark", ["compose/spark.yaml"], TREES="20", POLL_EVERY="86400", FOLDER=str(folder), CSV="houses.csv"
    )
    made.down(volumes=True)
    try:
        made.up()
        wait_until(lambda: http_status(f"{made.url('inference')}/model") == 200, PROMOTED_SECONDS, "a promotion")
        yield made
    finally:
        made.down(volumes=True)


def applications(stack: Stack) -> list[dict[str, Any]]:
    """What ran on the cluster, as its master shows it."""
    state = json.loads(stack.inside("spark-master", "python", "-c", READ_STATE))
    assert state["aliveworkers"] == WORKERS
    found: list[dict[str, Any]] = state["activeapps"] + state["completedapps"]
    return found


def test_the_cluster_measures_a_batch_and_fits_a_model(stack: Stack) -> None:
    """Both had the cores of all workers. The version is served."""
    ran = {each["name"]: (each["state"], each["cores"]) for each in applications(stack)}
    assert ran == {"drift": ("FINISHED", WORKERS), "trainer": ("FINISHED", WORKERS)}
    rows = [{name: row[name] for name in DATASET.names} for row in api_rows(0, 3, 1)]
    status, answer = post(f"{stack.url('inference')}/predict", rows)
    assert status == 200, answer
    assert get(f"{stack.url('inference')}/model")[1]["version"] == 1


def test_a_file_is_priced_on_the_cluster_as_without_it(stack: Stack, folder: Path) -> None:
    """`docker compose run score`. Its container is not known by the name of its service."""
    for engine in ("spark", "local"):
        stack.compose("run", "--rm", "--env", f"ENGINE={engine}", "--env", f"OUT={engine}.csv", "score")
    assert {each["name"]: each["state"] for each in applications(stack)}["score"] == "FINISHED"
    assert (folder / "spark.csv").read_bytes() == (folder / "local.csv").read_bytes()
    with (folder / "spark.csv").open(newline="") as file:
        assert sum(float(row["predicted_price"]) > 0 for row in csv.DictReader(file)) > ROWS / 2


def test_a_user_without_a_name_is_refused(stack: Stack) -> None:
    """Java would end without a reason."""
    done = stack.script("docker", "compose", "run", "--rm", "--user", "4711", "score")
    assert done.returncode == 1
    assert "the user 4711 has no name here, which Java needs: omit --user" in done.stderr


def test_no_part_shows_the_secret_of_the_cluster(stack: Stack) -> None:
    """Neither docker inspect nor the arguments of a process. No port of the cluster is published."""
    secret = stack.inside("spark-master", "cat", "/run/secrets/spark_secret").strip()
    assert secret
    cluster = stack.compose("ps", "--quiet", "spark-master", "spark-worker").split()
    assert len(cluster) == 1 + WORKERS
    for container in (*cluster, stack.container("trainer"), stack.container("drift")):
        assert secret not in docker("inspect", container)
        assert secret not in docker("top", container, "-eo", "pid,args")
    assert not any(docker("port", container) for container in cluster)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_with_spark_does_not_run_as_root(stack: Stack, name: str) -> None:
    """It has no tool to install or build more."""
    assert docker_json("image", "inspect", f"veleta/{name}")["Config"]["User"] == "10001"
    which = "which uv pip gcc make mvn || true"
    assert docker("run", "--rm", "--network=none", "--entrypoint=sh", f"veleta/{name}", "-c", which) == ""
