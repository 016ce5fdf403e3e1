"""What all tests of this folder need of Spark."""

import pytest

from veleta.settings import SparkSettings
from veleta_local import downloads
from veleta_local.output import show


@pytest.fixture(scope="session")
def settings() -> SparkSettings:
    """Spark in two threads."""
    downloads.ensure_spark_jars(show)
    return SparkSettings(jars=downloads.spark_jars())
