"""The child process that reads a batch on a Spark cluster: `python -m veleta_drift.read_on_spark FOLDER`.

It is the driver of the cluster's job. FOLDER has the dataset file, the manifest and where the chunks are. There it
writes the summary of the batch and the clean rows of its sample, or why the batch cannot be read. Its address of the
cluster and its login to Kafka are from the environment.
"""

import os
import pickle
import sys
from pathlib import Path

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.spark import spark_session, watched_executors
from veleta.adapters.spark_batches import named_faults
from veleta.dataset import parse_dataset
from veleta.errors import Reject, Retry
from veleta.settings import KafkaSettings, SparkSettings
from veleta_drift.adapters import spark_sampler
from veleta_drift.adapters.spark_summary import read_batch


def main(folder: Path, kafka: KafkaSettings, cluster: SparkSettings) -> None:
    """Read the batch, and write what was found. Raises Retry."""
    text, manifest, located = pickle.loads((folder / spark_sampler.BATCH).read_bytes())  # noqa: S301 - from drift
    dataset = parse_dataset(text)
    event_log = KafkaLog(kafka, "drift-read")

    def report(waits: bool) -> None:
        waiting = folder / spark_sampler.WAITS
        waiting.touch() if waits else waiting.unlink(missing_ok=True)

    with (
        spark_session(cluster, kafka, "drift", folder / "spark", folder / "spark.log") as spark,
        watched_executors(spark, report),
        named_faults(event_log, dataset.name, cluster.master),
    ):
        try:
            found: object = read_batch(spark, kafka, dataset, manifest, located)
        except Reject as error:
            found = error
    (folder / spark_sampler.FOUND).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), KafkaSettings(), SparkSettings())
    except Retry as error:
        sys.stderr.write(str(error))
        sys.exit(os.EX_TEMPFAIL)
