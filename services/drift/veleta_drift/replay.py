"""`python -m veleta_drift.replay`: computes all drift reports again from the topics, and compares both.

The tables of the replay are in a database of their own. It publishes nothing and changes no live table. It exits with 0
if all rows are equal, or with another POLICY after it has compared the verdicts, and with 1 if rows differ.
"""

import asyncio
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.clock import utc_now
from veleta.console import show
from veleta.dataset import DriftPolicy, load_dataset
from veleta.errors import Retry, Stop
from veleta.printable import printable
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, read_settings
from veleta_drift.adapters.models import RegistryModels
from veleta_drift.adapters.scratch_tables import ScratchTables
from veleta_drift.domain.verdict_change import verdict_lines
from veleta_drift.replayer import BatchKey, Replay, Replayer

MAX_DIFFERENCES = 20
"""How many differences are listed. The others are counted."""
MAX_NAMED = 10
"""How many batches without a replay are named for each reason. The others are counted."""
PROGRESS_SECONDS = 10.0
"""The pause between two lines that show the progress."""


class ReplaySettings(BaseSettings):
    """The variables of `make replay`, with the logins."""

    model_config = SettingsConfigDict(frozen=True)
    policy: DriftPolicy | None = Field(None, description="the policy that decides instead of the declared one")
    keep: bool = Field(False, description="whether the tables of the replay are kept")
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)


def main() -> bool:
    """Replay, and print what it found. Returns whether nothing differs. Raises Stop and Retry."""
    settings = read_settings(ReplaySettings)
    dataset = load_dataset(settings.dataset)
    event_log = KafkaLog(settings.kafka, "replay")
    registry = MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)
    tables = ScratchTables(settings.mysql, dataset)
    tables.create()
    try:
        replayer = Replayer(
            dataset,
            event_log,
            tables.transactions(),
            lambda file: RegistryModels(file, registry),
            utc_now,
            settings.policy,
        )
        if settings.keep:
            _show(f"the tables of the replay stay in the database {tables.name}")
        found = asyncio.run(replayer.replay(_progress()))
        return _report(found, tables, settings.policy)
    finally:
        tables.close(keep=settings.keep)
        event_log.close()


def _report(found: Replay, tables: ScratchTables, policy: DriftPolicy | None) -> bool:
    for line in left_out_lines(found):
        _show(line)
    if not found.replayed:
        raise Stop("no batch could be replayed")
    if policy and found.policies != {policy}:
        live = ", ".join(sorted(found.policies))
        for line in verdict_lines(live, policy, tables.verdicts(found.replayed)):
            _show(line)
        return True
    counts, differences = tables.compare(found.replayed, {*found.replayed, *found.left_out})
    for line in differences[:MAX_DIFFERENCES]:
        _show(line)
    if more := differences[MAX_DIFFERENCES:]:
        _show(f"and {len(more):,} more differences")
    rows = ", ".join(f"{count:,} {title}" for title, count in counts.items())
    _show(f"{len(found.replayed):,} batches: {rows}: {f'{len(differences):,} differences' if differences else 'equal'}")
    return not differences


def left_out_lines(found: Replay) -> Iterator[str]:
    """The batches that could not be replayed, by reason, and how many have no report yet."""
    reasons = defaultdict[str, list[BatchKey]](list)
    for batch, reason in found.left_out.items():
        reasons[reason].append(batch)
    for reason, batches in reasons.items():
        names = ", ".join(f"{epoch}/{number}" for epoch, number in batches[:MAX_NAMED])
        more = f" and {len(batches) - MAX_NAMED:,} more" if len(batches) > MAX_NAMED else ""
        yield f"not replayable: {len(batches):,} batches ({names}{more}): {reason}"
    if found.unreported:
        yield f"without a published report: {found.unreported:,} batches"


def _progress() -> Callable[[int, int], None]:
    """Show how far the replay is, now and then. It is no part of the result."""
    last = time.monotonic()

    def show(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last > PROGRESS_SECONDS:
            last = time.monotonic()
            sys.stderr.write(f"{done:,} of {of:,} batches\n")

    return show


def _show(line: str) -> None:
    show(printable(line))


if __name__ == "__main__":
    # A replay repeats what the service has logged before, such as a rollback that is proposed.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        equal = main()
    except (Retry, Stop) as error:
        sys.exit(printable(f"replay: {error}"))
    sys.exit(0 if equal else 1)
