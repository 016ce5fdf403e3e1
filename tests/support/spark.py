"""The child process of a fit on Spark, as the trainer starts it."""

import sys
from pathlib import Path

from support.testbed import Testbed


def fit_command(folder: Path) -> list[str]:
    """The process that fits by the recipe in a folder, with one thread."""
    return [sys.executable, "-m", "veleta_trainer.fit_on_spark", "1", str(folder)]


def fit_environment(testbed: Testbed, jars: Path, master: str) -> dict[str, str]:
    """Its environment, with the trainer's login to Kafka."""
    kafka = testbed.kafka_as("trainer")
    return {
        "PATH": "/usr/bin:/bin",
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "KAFKA_USER": str(kafka.user),
        "KAFKA_PASSWORD": kafka.password.get_secret_value(),
        "SPARK_MASTER": master,
        "SPARK_JARS": str(jars),
    }
