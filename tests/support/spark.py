"""The child processes of Spark, as services start them, and the executors of a cluster."""

import sys
from contextlib import suppress
from pathlib import Path

import psutil

from support.testbed import Testbed
from veleta_local import processes
from veleta_local.spark_cluster import SparkCluster

EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


def fit_command(folder: Path) -> list[str]:
    """The process that fits by the recipe in a folder, with one thread."""
    return [sys.executable, "-m", "veleta_trainer.fit_on_spark", "1", str(folder)]


def fit_environment(testbed: Testbed, jars: Path, master: str) -> dict[str, str]:
    """Its environment, with the trainer's login to Kafka."""
    return spark_environment(testbed, "trainer", jars, master)


def spark_environment(testbed: Testbed, service: str, jars: Path, master: str) -> dict[str, str]:
    """The environment of a child process, with the login of a service to Kafka."""
    kafka = testbed.kafka_as(service)
    return {
        "PATH": "/usr/bin:/bin",
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "KAFKA_USER": str(kafka.user),
        "KAFKA_PASSWORD": kafka.password.get_secret_value(),
        "SPARK_MASTER": master,
        "SPARK_JARS": str(jars),
    }


def executors(cluster: SparkCluster) -> list[psutil.Process]:
    """The Java processes of executors, which the workers started."""
    found = []
    for process in processes.of_run(cluster.home):
        with suppress(psutil.NoSuchProcess):
            if EXECUTOR in process.cmdline():
                found.append(process)
    return found
