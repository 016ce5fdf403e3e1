"""`python -m veleta_drift.run_rows CSV TOML`: writes the rows of a deployment as a CSV file, and its dataset file.

The rows are those that a training would learn from: the newest batch of each number, as received. `make backtest` uses
them if it gets no file.
"""

import csv
import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.adapters.kafka import KafkaLog
from veleta.batches import BatchReader, newest_of_each_number, read_events
from veleta.dataset import Dataset, load_dataset
from veleta.errors import Reject, Retry, Stop
from veleta.events.catalogue import BatchClosed
from veleta.ports import EventLog
from veleta.settings import KafkaSettings, read_settings


class RunRowsSettings(BaseSettings):
    """The deployment."""

    model_config = SettingsConfigDict(frozen=True)
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)


def main() -> None:
    """Write both files, and print what they have. Raises Stop and Retry."""
    settings = read_settings(RunRowsSettings)
    dataset = load_dataset(settings.dataset)
    table, declared = map(Path, sys.argv[1:])
    event_log = KafkaLog(settings.kafka, "backtest")
    read, lost = write_rows(table, dataset, event_log)
    if not read:
        raise Stop("; ".join(lost) or "the run has no closed batch yet")
    declared.write_text(dataset.text, encoding="utf-8")
    for line in [f"rows of {', '.join(read)}", *(f"left out: {reason}" for reason in lost)]:
        sys.stdout.write(f"{line}\n")


def write_rows(path: Path, dataset: Dataset, event_log: EventLog) -> tuple[list[str], list[str]]:
    """Write the rows. Returns the ids of the batches, and why others are left out, with all of their rows."""
    manifests = (e.payload for e in read_events(event_log, dataset.name) if isinstance(e.payload, BatchClosed))
    reader, read, lost = BatchReader(event_log), list[str](), list[str]()
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, dataset.names, extrasaction="ignore")
        writer.writeheader()
        for manifest in newest_of_each_number(manifests):
            before = file.tell()
            try:
                for rows in reader.chunks(manifest):
                    writer.writerows(rows)
                read.append(manifest.batch)
            except Reject as error:
                file.seek(before)
                file.truncate()
                lost.append(f"{manifest.batch}: {error}")
    return read, lost


if __name__ == "__main__":
    try:
        main()
    except (Stop, Retry) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
