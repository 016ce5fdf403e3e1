"""Builds the loader from its parts."""

import asyncio
from functools import partial

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mysql import MysqlTransactions, mysql_engine
from veleta.batches import BatchReader
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.ports import EventLog
from veleta.processing.consumer import Consumer
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta.timeouts import CHECK_SECONDS, LOADER_IDLE_SECONDS
from veleta.topics import topic, topics_of
from veleta_loader.adapters.epoch_cleaner import EpochCleaner
from veleta_loader.adapters.newest_epoch import NewestEpoch
from veleta_loader.adapters.repositories import MysqlLoaderUnitOfWork
from veleta_loader.handlers import SERVICE, BatchLoader, RowReporter
from veleta_loader.settings import LoaderSettings


def build(
    settings: LoaderSettings, health: ServiceHealth, *, event_log: EventLog | None = None, clock: Clock = utc_now
) -> Service:
    """The loader on Kafka and MySQL; tests can replace the event log and the clock."""
    dataset = load_dataset(settings.dataset)
    event_log = event_log or KafkaLog(settings.kafka, SERVICE)
    engine = mysql_engine(settings.mysql, idle_seconds=LOADER_IDLE_SECONDS)
    tables = dataset_tables(dataset)
    unit_of_work = partial(MysqlLoaderUnitOfWork, tables=tables)
    transactions = MysqlTransactions(engine, unit_of_work)
    checks = MysqlTransactions(mysql_engine(settings.mysql, CHECK_SECONDS), unit_of_work)
    reader = BatchReader(event_log, health.heartbeat)
    loader = BatchLoader(
        dataset,
        reader,
        transactions,
        EpochCleaner(engine, tables, health.heartbeat) if settings.on_new_epoch == "clear" else None,
        is_outdated=NewestEpoch(event_log, reader, dataset.name).is_outdated,
        clock=clock,
    )
    publisher = OutboxPublisher(event_log, transactions)
    reporter = RowReporter(transactions, health)
    processor = RecordProcessor(
        loader, transactions, publisher, health, clock, dataset.name, after_record=reporter.report
    )
    consumer = Consumer(
        topics=[topic(dataset.name, "batches")],
        used_topics=topics_of(dataset.name, SERVICE),
        group=f"{dataset.name}.loader",
        event_log=event_log,
        transactions=transactions,
        checks=checks,
        publisher=publisher,
        processor=processor,
        health=health,
    )

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            restore = partial(health.retry_until_available, reporter.restore)
            tasks.create_task(health.keep_running("rows", restore))
            tasks.create_task(consumer.run())

    return Service(run)
