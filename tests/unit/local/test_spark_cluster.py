"""What `make spark-up` refuses, and when a cluster is down. tests/spark has the cluster itself."""

import re
from pathlib import Path

import pytest

from veleta_local.deployment import Deployment
from veleta_local.errors import LocalError
from veleta_local.output import show
from veleta_local.spark_cluster import SparkCluster


@pytest.mark.parametrize(
    ("workers", "megabytes", "message"),
    [
        (0, 4096, "SPARK_WORKERS=0: use a whole number from 1 up to 64"),
        (65, 4096, "SPARK_WORKERS=65: use a whole number from 1 up to 64"),
        (2, 1023, "SPARK_WORKER_MEMORY=1023: use at least 1024 megabytes"),
    ],
)
def test_a_cluster_that_could_not_work_is_refused(workers: int, megabytes: int, message: str, tmp_path: Path) -> None:
    """With the valid values, before anything is written."""
    cluster = SparkCluster(Deployment(tmp_path / "home"))
    with pytest.raises(LocalError, match=f"^{re.escape(message)}$"):
        cluster.up(workers, megabytes, show)
    assert not (tmp_path / "home").exists()


def test_a_cluster_that_was_never_up_is_down(tmp_path: Path) -> None:
    """To stop it again is no error."""
    cluster = SparkCluster(Deployment(tmp_path / "home"))
    assert cluster.address == ""
    cluster.down()
