"""Builds drift from its parts."""

import gc
import tempfile
from functools import partial

from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine, check_mysql
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.ports import EventLog, Registry
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.processing.replay import replay
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta.threads import call_in_thread
from veleta.timeouts import CHECK_SECONDS
from veleta.topics import topic, topics_of
from veleta_drift.adapters.backlog import Backlog
from veleta_drift.adapters.faust_app import add_agent, make_app
from veleta_drift.adapters.faust_worker import Checks, FaustWorker
from veleta_drift.adapters.models import RegistryModels
from veleta_drift.adapters.repositories import MysqlDriftUnitOfWork
from veleta_drift.handlers import SERVICE, DriftHandler
from veleta_drift.settings import DriftSettings


def build(
    settings: DriftSettings,
    health: ServiceHealth,
    *,
    event_log: EventLog | None = None,
    registry: Registry | None = None,
    clock: Clock = utc_now,
) -> Service:
    """Drift on Kafka, Faust, MySQL and MLflow; tests can replace the event log, the registry and the clock."""
    dataset = load_dataset(settings.dataset)
    event_log = event_log or KafkaLog(settings.kafka, SERVICE)
    unit_of_work = partial(MysqlDriftUnitOfWork, comparison=dataset_tables(dataset).comparison)
    transactions = AsyncMysqlTransactions(async_mysql_engine(settings.mysql), unit_of_work)
    batches, reports = topic(dataset.name, "batches"), topic(dataset.name, "drift")
    publisher = OutboxPublisher(event_log, transactions, replayed=[reports])
    models = RegistryModels(dataset, registry or MlflowRegistry(settings.mlflow.tracking_uri, dataset.name))
    handler = DriftHandler(dataset, event_log, transactions, models, clock, health.heartbeat)
    processor = RecordProcessor(handler, transactions, publisher, health, clock, dataset.name)
    backlog = Backlog(batches, event_log, transactions)
    checks: Checks = {
        "kafka": partial(call_in_thread, partial(event_log.check, topics_of(dataset.name, SERVICE))),
        "mysql": partial(check_mysql, async_mysql_engine(settings.mysql, CHECK_SECONDS)),
    }

    async def restore_and_publish() -> None:
        await replay(reports, event_log, transactions, handler.restore)
        await transactions.run(handler.count_retrains)
        await publisher.publish_pending()

    async def run() -> None:
        # The garbage collector would often examine what was imported, which stays anyway. That takes 0.2 s.
        gc.collect()
        gc.freeze()
        with tempfile.TemporaryDirectory(prefix="veleta-drift-") as folder:
            app = make_app(f"{dataset.name}.drift", settings.kafka, folder)
            process = processor.process_or_stop_consuming
            worker = FaustWorker(app, backlog, process, restore_and_publish, health, settings.idle_limit, checks)
            add_agent(app, batches, worker.process)
            await worker.run()

    return Service(run)
