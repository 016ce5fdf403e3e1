"""Builds drift and connects it."""

import asyncio
import tempfile
from functools import partial

from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine
from veleta.adapters.kafka import KafkaLog
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.ports import EventLog
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta.topics import topic
from veleta_drift.adapters.agent import add_agent, make_app
from veleta_drift.adapters.reports import MysqlDriftUnitOfWork
from veleta_drift.adapters.worker import Worker
from veleta_drift.handlers import SERVICE, DriftHandler
from veleta_drift.settings import DriftSettings


def build(
    settings: DriftSettings, health: ServiceHealth, *, log: EventLog | None = None, clock: Clock = utc_now
) -> Service:
    """Drift on Kafka, Faust and MySQL; the log and the clock can be replaced."""
    dataset = load_dataset(settings.dataset)
    log = log or KafkaLog(settings.kafka.bootstrap, SERVICE)
    comparison = dataset_tables(dataset).comparison
    unit_of_work = partial(MysqlDriftUnitOfWork, comparison=comparison)
    transactions = AsyncMysqlTransactions(async_mysql_engine(settings.mysql), unit_of_work)
    publisher = OutboxPublisher(log, transactions)
    handler = DriftHandler(dataset, log, clock)
    processor = RecordProcessor(handler, transactions, publisher, health, clock, dataset.name)
    batches = topic(dataset.name, "batches")

    async def restore() -> None:
        published = await asyncio.to_thread(handler.published_reports)
        await transactions.run(partial(handler.restore, published))

    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="veleta-drift-") as folder:
            app = make_app(f"{dataset.name}.drift", settings.kafka.bootstrap, folder)
            worker = Worker(app, batches, log, transactions, publisher, processor, health, restore, settings.idle_limit)
            add_agent(app, batches, worker.assess)
            await worker.run()

    return Service(run)
