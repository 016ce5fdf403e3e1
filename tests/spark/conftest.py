"""What all tests of this folder need of Spark."""

from collections.abc import Iterator

import pytest

from support.testbed import free_base
from veleta.settings import SparkSettings
from veleta_local import downloads
from veleta_local.deployment import Deployment
from veleta_local.output import show
from veleta_local.spark_cluster import SparkCluster
from veleta_local.variables import Variables


@pytest.fixture(scope="session")
def settings() -> SparkSettings:
    """Spark in two threads."""
    downloads.ensure_spark_jars(show)
    return SparkSettings(jars=downloads.spark_jars())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A run that is not started."""
    return Deployment(tmp_path_factory.mktemp("run") / "home", Variables(port_base=free_base()))


@pytest.fixture(scope="module")
def cluster(run: Deployment) -> Iterator[SparkCluster]:
    """A master and two workers."""
    cluster = SparkCluster(run)
    cluster.up(2, 2048, show)
    try:
        yield cluster
    finally:
        cluster.down()
