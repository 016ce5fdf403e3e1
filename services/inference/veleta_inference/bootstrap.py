"""Builds inference and connects it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from catboost import CatBoostRegressor

from veleta.adapters.async_mysql import async_mysql_engine
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.life import Life, watch
from veleta.ports import EventLog, Registry
from veleta.predictor import Booster
from veleta.service import Service
from veleta.tail import tail
from veleta.topics import topic
from veleta_inference.adapters.http import pages
from veleta_inference.adapters.requests_table import RequestsTable
from veleta_inference.champion import Champion
from veleta_inference.deadletters import DeadLetters
from veleta_inference.handlers import Predicting
from veleta_inference.journal import Journal
from veleta_inference.settings import InferenceSettings

Check = Callable[[], Awaitable[object]]
"""Asks a part for a sign of life. Raises Retry when there is none."""


def build(
    settings: InferenceSettings,
    life: Life,
    *,
    log: EventLog | None = None,
    registry: Registry | None = None,
    clock: Clock = utc_now,
) -> Service:
    """Inference on Kafka, MySQL and MLflow; the log, the registry and the clock can be replaced."""
    dataset = load_dataset(settings.dataset)
    log = log or KafkaLog(settings.kafka.bootstrap, "inference")
    registry = registry or MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)
    engine = async_mysql_engine(settings.mysql)
    table = RequestsTable(engine, dataset)
    letters = DeadLetters(log, dataset.name, life, clock)
    champion = Champion(dataset, registry, load_native, letters, life, clock)
    journal = Journal(table, letters, life, settings.queue_limit, settings.group_rows)
    predicting = Predicting(dataset, champion, journal, clock, settings.items_limit)
    models = topic(dataset.name, "models")
    checks: dict[str, Check] = {"kafka": partial(asyncio.to_thread, log.bounds, models), "mysql": table.check}
    for what in checks:
        life.lacks(what, "not yet asked")

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(tail([models], log, life, champion.take))
            for what, check in checks.items():
                group.create_task(watch(what, check, life))
            for_ever = (
                group.create_task(champion.keep(settings.reconcile_seconds)),
                group.create_task(journal.write()),
            )
            life.started()
            await life.stopping.wait()
            await journal.drain()
            for task in for_ever:
                task.cancel()
        await letters.drain()
        await engine.dispose()

    return Service(run, pages(predicting, dataset.name, dataset.target, settings.body_limit, clock))


def load_native(path: Path) -> Booster:
    """The CatBoost model in a .cbm file."""
    booster: Booster = CatBoostRegressor().load_model(str(path))
    return booster
