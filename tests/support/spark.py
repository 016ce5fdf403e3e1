"""The child processes of Spark, as services start them."""

import sys
from pathlib import Path

from support.testbed import Testbed


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
