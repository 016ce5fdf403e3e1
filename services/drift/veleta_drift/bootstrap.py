"""Builds drift from its parts."""

import asyncio
import gc
import tempfile
from functools import partial

from veleta.adapters.async_mysql import AsyncMysqlTransactions, async_mysql_engine, check_mysql
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.batches import BatchReader
from veleta.clock import Clock, utc_now
from veleta.dataset import Dataset, load_dataset
from veleta.ports import EventLog, Registry
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.processing.replay import replay
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta.threads import call_in_thread
from veleta.timeouts import CHECK_SECONDS
from veleta.topics import TopicName, topic, topics_of
from veleta_drift.adapters.backlog import Backlog
from veleta_drift.adapters.faust_app import add_agent, make_app
from veleta_drift.adapters.faust_worker import Checks, FaustWorker
from veleta_drift.adapters.models import RegistryModels
from veleta_drift.adapters.repositories import MysqlDriftUnitOfWork
from veleta_drift.adapters.spark_sampler import SparkBatchSampler
from veleta_drift.batch_sampler import BatchSampler, LocalBatchSampler
from veleta_drift.champion_follower import ChampionFollower
from veleta_drift.handlers import DriftHandler
from veleta_drift.level_commands import COMMANDS, LevelCommands
from veleta_drift.level_keeper import LevelKeeper
from veleta_drift.ports import SERVICE
from veleta_drift.settings import DriftSettings

RESTORED: tuple[TopicName, ...] = ("drift", "levels")
"""The topics from which its tables are restored."""


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
    unit_of_work = partial(MysqlDriftUnitOfWork, comparison=dataset_tables(dataset).comparison, model=dataset.name)
    transactions = AsyncMysqlTransactions(async_mysql_engine(settings.mysql), unit_of_work)
    batches, restored = topic(dataset.name, "batches"), [topic(dataset.name, name) for name in RESTORED]
    publisher = OutboxPublisher(event_log, transactions, replayed=restored)
    models = RegistryModels(dataset, registry or MlflowRegistry(settings.mlflow.tracking_uri, dataset.name))
    manifests, keeper = Manifests(dataset.name, event_log, transactions), None
    sampler = partial(_sampler, settings, dataset, event_log, health)
    if dataset.market:
        health.set_unavailable(COMMANDS, "not yet followed")
        keeper = LevelKeeper(dataset, dataset.market, sampler(), manifests, transactions, publisher, clock)
    handler = DriftHandler(dataset, event_log, transactions, models, clock, sampler(), keeper)
    processor = RecordProcessor(handler, transactions, publisher, health, clock, dataset.name)
    backlog = Backlog(batches, event_log, transactions)
    checks: Checks = {
        "kafka": partial(call_in_thread, partial(event_log.check, topics_of(dataset.name, SERVICE))),
        "mysql": partial(check_mysql, async_mysql_engine(settings.mysql, CHECK_SECONDS)),
    }

    async def restore_and_publish() -> None:
        for name in restored:
            await replay(name, event_log, transactions, handler.restore)
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
            async with asyncio.TaskGroup() as group:
                if dataset.market or dataset.drift.policy != "seed":
                    follower = ChampionFollower(
                        dataset, event_log, models, manifests, keeper, transactions, publisher, health, clock,
                        worker.is_active,
                    )  # fmt: skip
                    group.create_task(follower.run())
                if keeper:
                    commands = LevelCommands(
                        dataset.name,
                        event_log,
                        keeper,
                        models,
                        transactions,
                        publisher,
                        health,
                        clock,
                        worker.is_active,
                    )
                    group.create_task(commands.run())
                group.create_task(worker.run())

    return Service(run)


def _sampler(settings: DriftSettings, dataset: Dataset, event_log: EventLog, health: ServiceHealth) -> BatchSampler:
    if settings.engine == "spark":
        return SparkBatchSampler(dataset, BatchReader(event_log), settings.spark.master, health)
    return LocalBatchSampler(dataset, event_log, health.heartbeat)
