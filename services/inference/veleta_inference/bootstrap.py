"""Builds inference and connects it."""

import asyncio
import gc
import logging
import shutil
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from veleta.adapters.async_mysql import async_mysql_engine
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.clock import Clock, utc_now
from veleta.dataset import Values, load_dataset
from veleta.errors import Stop
from veleta.ports import EventLog, Registry
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta.topics import topic
from veleta_inference.adapters.booster import NativeBooster
from veleta_inference.adapters.explainer_pool import Explainers
from veleta_inference.adapters.guard import Guard
from veleta_inference.adapters.http import pages
from veleta_inference.adapters.journal import JournalFolder
from veleta_inference.adapters.peers import Siblings
from veleta_inference.adapters.request_adapter import Asking
from veleta_inference.adapters.requests_table import RequestsTable
from veleta_inference.dead_letters import DeadLetterPublisher
from veleta_inference.domain.requests import Reader
from veleta_inference.drain import Drain
from veleta_inference.handlers import OF_REQUEST, Predicting
from veleta_inference.model_swapper import Champion
from veleta_inference.ports import Journal
from veleta_inference.refusals import Refusals
from veleta_inference.settings import InferenceSettings

RECENT_ROWS = 100
"""So many rows that were asked for lately are remembered for the trial of the next model."""
REFUSALS_BYTES = 16 * 1024 * 1024
"""So much of refused requests may wait for MySQL; those beyond are only counted."""
Check = Callable[[], Awaitable[object]]
"""Asks a part for a sign of life. Raises Retry when there is none."""


def build(
    settings: InferenceSettings,
    health: ServiceHealth,
    *,
    log: EventLog | None = None,
    registry: Registry | None = None,
    journal: Journal | None = None,
    clock: Clock = utc_now,
    siblings: Siblings | None = None,
) -> Service:
    """Inference on Kafka, MySQL, MLflow and the disk; log, registry, journal and clock can be replaced.

    A process that has siblings is ready when they are, too.
    """
    dataset = load_dataset(settings.dataset)
    # The pages log what nobody foresaw; of what clients send that is no HTTP aiohttp would log a stack trace each.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    log = log or KafkaLog(settings.kafka.bootstrap, "inference")
    registry = registry or MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)
    engine = async_mysql_engine(settings.mysql)
    tables = dataset_tables(dataset)
    table = RequestsTable(engine, tables.requests, OF_REQUEST)
    refused = RequestsTable(engine, tables.refused, tables.refused.c.keys())
    journal = journal or _journal(settings, "answered", settings.journal_limit, sync=settings.journal_sync == "group")
    refusals = _journal(settings, "refused", REFUSALS_BYTES, sync=False)
    letters = DeadLetterPublisher(log, dataset.name, health, clock)
    files = Path(tempfile.mkdtemp(prefix="veleta-models-"))
    recent: deque[Values] = deque(maxlen=RECENT_ROWS)
    champion = Champion(dataset, registry, NativeBooster, letters, health, clock, files, recent)
    predicting = Predicting(dataset, champion, journal, health, clock, settings.queue_limit, recent)
    asking = Asking(predicting, Reader(dataset, settings.items_limit), dataset, clock, settings.body_seconds)
    guard = Guard(settings.api_keys.split(",") if settings.api_keys else [], settings.client_limit)
    explainers = Explainers(settings.dataset, settings.explainers, settings.explain_seconds)
    drains = (Drain(journal, table, letters, health), Drain(refusals, refused, letters, health))
    models = topic(dataset.name, "models")
    checks: dict[str, Check] = {"kafka": partial(asyncio.to_thread, log.bounds, models), "mysql": table.check}
    checks["journal"] = partial(asyncio.to_thread, journal.check)
    if siblings:
        checks["workers"] = siblings.check
    for what in checks:
        health.set_unavailable(what, "not yet asked")

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(tail([models], log, health, champion.take))
            for what, check in checks.items():
                group.create_task(watch_dependency(what, check, health))
            for drain in drains:
                group.create_task(drain.run())
            for_ever = (
                group.create_task(champion.keep(settings.reconcile_seconds)),
                group.create_task(predicting.work()),
            )
            health.mark_started()
            # What has been loaded stays to the end: looking through it for garbage would stop all answers for 0.1 s.
            gc.collect()
            gc.freeze()
            await health.stopping.wait()
            for task in for_ever:
                task.cancel()
        await explainers.close()
        await asyncio.to_thread(shutil.rmtree, files)
        journal.close()
        refusals.close()
        await letters.drain()
        await engine.dispose()

    return Service(run, pages(asking, explainers, guard, Refusals(refusals), settings.body_limit, clock))


def _journal(settings: InferenceSettings, name: str, limit: int, *, sync: bool) -> JournalFolder:
    try:
        return JournalFolder(settings.journal / name, limit, sync=sync)
    except OSError as error:
        raise Stop(f"INFERENCE_JOURNAL={settings.journal}: {error.strerror}") from error
