"""Builds drift and connects it."""

import asyncio
import tempfile
from functools import partial

from veleta.adapters.async_mysql import AsyncMysqlLedger, async_mysql_engine
from veleta.adapters.kafka import KafkaLog
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.life import Life
from veleta.loop import Intake, Relay
from veleta.ports import EventLog
from veleta.service import Service
from veleta.tables import dataset_tables
from veleta.topics import topic
from veleta_drift.adapters.agent import add_agent, make_app
from veleta_drift.adapters.reports import MysqlReports
from veleta_drift.adapters.worker import Worker
from veleta_drift.handlers import SERVICE, Assessing
from veleta_drift.settings import DriftSettings


def build(settings: DriftSettings, life: Life, *, log: EventLog | None = None, clock: Clock = utc_now) -> Service:
    """Drift on Kafka, Faust and MySQL; the log and the clock can be replaced."""
    dataset = load_dataset(settings.dataset)
    log = log or KafkaLog(settings.kafka.bootstrap, SERVICE)
    ledger = AsyncMysqlLedger(async_mysql_engine(settings.mysql), SERVICE)
    relay = Relay(log, ledger)
    comparison = dataset_tables(dataset).comparison
    assessing = Assessing(dataset, log, lambda work: MysqlReports(work.sql, comparison), clock)
    intake = Intake(assessing, ledger, relay, life, clock, dataset.name)
    batches = topic(dataset.name, "batches")

    async def restore() -> None:
        told = await asyncio.to_thread(assessing.told)
        await ledger.run(partial(assessing.restore, told))

    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="veleta-drift-") as folder:
            app = make_app(f"{dataset.name}.drift", settings.kafka.bootstrap, folder)
            worker = Worker(app, batches, log, ledger, relay, intake, life, restore, settings.idle_limit)
            add_agent(app, batches, worker.assess)
            await worker.run()

    return Service(run)
