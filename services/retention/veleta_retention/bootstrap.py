"""Builds retention and connects its parts."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import sqlalchemy as sa

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import use_token
from veleta.adapters.mysql import mysql_check, mysql_engine
from veleta.clock import Clock, utc_now
from veleta.dataset import Dataset, load_dataset
from veleta.ports import EventLog
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.tables import DatasetTables, dataset_tables
from veleta.threads import call_in_thread
from veleta.topics import TopicName, topic
from veleta_retention.adapters.batch_index import BatchIndex
from veleta_retention.adapters.rows import KafkaRows, MysqlBatchRows, MysqlReaders
from veleta_retention.adapters.tables import MysqlPurgeTable, MysqlRequestTable, MysqlTimeTable, stored_limits
from veleta_retention.adapters.versions import MlflowArtifacts, MysqlDecisions
from veleta_retention.domain.kept_rows import Limits, describe_limits
from veleta_retention.handlers import SWEEP_SECONDS, RetentionSweeper
from veleta_retention.ports import Now
from veleta_retention.row_sweeper import RowSweeper
from veleta_retention.settings import RetentionSettings
from veleta_retention.trusted_clock import TrustedClock
from veleta_retention.version_sweeper import VersionSweeper

TOPICS: tuple[TopicName, ...] = ("batches", "rows")
"""The topics that it reads to find what is due, and deletes records of."""
NO_LIMITS = "everything is kept, because an earlier version began this run: KEEP_EPOCHS and KEEP_VERSIONS limit it"


def build(
    settings: RetentionSettings,
    health: ServiceHealth,
    *,
    clock: Clock = utc_now,
    event_log: EventLog | None = None,
) -> Service:
    """Retention on Kafka, MySQL and MLflow. Tests can replace the clock and the event log."""
    dataset = load_dataset(settings.dataset)
    engine, tables = mysql_engine(settings.mysql), dataset_tables(dataset)
    log = event_log or KafkaLog(settings.kafka, "retention")
    now = TrustedClock(MysqlTimeTable(engine), health, clock).now
    requests = RetentionSweeper(*_requests(engine, tables), settings.keep_requests_days, health, now)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(watch_dependency("mysql", mysql_check(settings.mysql), health))
            side = tasks.create_task(_run_limits(engine, tables, dataset, settings, log, health, now))
            await requests.run()
            side.cancel()
            watch.cancel()

    return Service(run)


def connect(settings: RetentionSettings) -> tuple[list[MysqlRequestTable], MysqlPurgeTable]:
    """The tables of requests, and the table of purges."""
    return _requests(mysql_engine(settings.mysql), dataset_tables(load_dataset(settings.dataset)))


def _requests(engine: sa.Engine, tables: DatasetTables) -> tuple[list[MysqlRequestTable], MysqlPurgeTable]:
    return [MysqlRequestTable(engine, table) for table in (tables.requests, tables.refused)], MysqlPurgeTable(engine)


def effective_limits(settings: RetentionSettings, stored: Mapping[str, int]) -> tuple[int, int]:
    """The epochs and the rejected versions to keep, by the variables or else by the table; 0 is no limit."""
    given = settings.keep_epochs, settings.keep_versions
    epochs, versions = (
        stored.get(name, 0) if value is None else value
        for name, value in zip(("keep_epochs", "keep_versions"), given, strict=True)
    )
    return epochs, versions


async def _run_limits(
    engine: sa.Engine,
    tables: DatasetTables,
    dataset: Dataset,
    settings: RetentionSettings,
    log: EventLog,
    health: ServiceHealth,
    now: Now,
) -> None:
    """Sweep rows and versions, each at its own pace: MLflow may be down while Kafka is up."""
    stored = await health.retry_until_available(partial(asyncio.to_thread, stored_limits, engine))
    epochs, versions = effective_limits(settings, stored)
    if None in (settings.keep_epochs, settings.keep_versions) and not stored:
        health.set_warning("limits", NO_LIMITS)
    limits = Limits(epochs, settings.keep_batches_days)
    health.activity = describe_limits(settings.keep_requests_days, limits, versions)
    rows = RowSweeper(
        BatchIndex(log, dataset.name),
        MysqlReaders(engine, dataset.name),
        [MysqlBatchRows(engine, table) for table in (tables.raw, tables.clean)],
        KafkaRows(settings.kafka, log, dataset.name),
        limits,
        health,
        now,
    )
    use_token(settings.mlflow)
    artifacts = MlflowArtifacts(settings.mlflow.tracking_uri, dataset.name)
    check_kafka = partial(call_in_thread, partial(log.check, [topic(dataset.name, name) for name in TOPICS]))
    sweeps = {"rows": rows.sweep, "versions": VersionSweeper(MysqlDecisions(engine), artifacts, versions, health).sweep}
    async with asyncio.TaskGroup() as tasks:
        if epochs or settings.keep_batches_days:
            tasks.create_task(watch_dependency("kafka", check_kafka, health))
        for name, sweep in sweeps.items():
            tasks.create_task(health.supervise(name, _repeat(sweep, health)))


async def _repeat(sweep: Callable[[], Awaitable[None]], health: ServiceHealth) -> None:
    running = True
    while running:
        await health.retry_until_available(sweep)
        running = await health.sleep(SWEEP_SECONDS)
