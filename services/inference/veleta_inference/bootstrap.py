"""Builds inference and connects its parts."""

import asyncio
import gc
import logging
import shutil
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from veleta.adapters.async_mysql import async_mysql_engine, check_mysql
from veleta.adapters.booster import NativeBooster
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.api_keys import digest, names_by_digest
from veleta.clock import Clock, utc_now
from veleta.dataset import Values, load_dataset
from veleta.errors import Stop
from veleta.ports import EventLog, Registry
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta.threads import call_in_thread
from veleta.timeouts import CHECK_SECONDS
from veleta.topics import topic, topics_of
from veleta_inference.adapters.explainer_pool import ExplainerPool
from veleta_inference.adapters.guard import Guard
from veleta_inference.adapters.http import application, forbidden
from veleta_inference.adapters.journal import MIN_FREE_BYTES, JournalFolder
from veleta_inference.adapters.keyed_answers import KeyedAnswers
from veleta_inference.adapters.peers import Peers
from veleta_inference.adapters.reported_records import ReportedRecords
from veleta_inference.adapters.request_adapter import RequestAdapter
from veleta_inference.adapters.request_table import MysqlAnswerTable, MysqlRequestTable
from veleta_inference.dead_letters import DeadLetterOutbox
from veleta_inference.domain.requests import RequestReader
from veleta_inference.drain import Drain
from veleta_inference.handlers import MARKET_FIELDS, REQUEST_FIELDS, PredictionService
from veleta_inference.level_follower import LevelFollower
from veleta_inference.model_swapper import ModelSwapper
from veleta_inference.ports import Journal
from veleta_inference.promotion_follower import PromotionFollower
from veleta_inference.refusals import Refusals
from veleta_inference.settings import InferenceSettings

RECENT_ROWS = 100
"""Rows of recent requests that the smoke check of the next model uses."""
DEAD_LETTERS_BYTES = 64 * 1024 * 1024
"""Maximum bytes of dead letters that are not yet in Kafka. Above it, what they report stays in its own journal."""
REFUSALS_BYTES = 16 * 1024 * 1024
"""Maximum bytes of refusals that are not yet in MySQL. Above it they are dropped."""


def build(
    settings: InferenceSettings,
    health: ServiceHealth,
    *,
    event_log: EventLog | None = None,
    registry: Registry | None = None,
    journal: Journal | None = None,
    clock: Clock = utc_now,
    peers: Peers | None = None,
) -> Service:
    """Inference on Kafka, MySQL, MLflow and the disk. Tests can replace the event log, registry, journal and clock.

    A worker with peers is ready only if they are.
    """
    dataset = load_dataset(settings.dataset)
    # `problem` logs unexpected errors. aiohttp would also log a stack trace for everything that is not HTTP.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    event_log = event_log or KafkaLog(settings.kafka, "inference")
    registry = registry or MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)
    engine, check_engine = async_mysql_engine(settings.mysql), async_mysql_engine(settings.mysql, CHECK_SECONDS)
    tables, fields = dataset_tables(dataset), [*REQUEST_FIELDS, *(MARKET_FIELDS if dataset.market else ())]
    answered = MysqlRequestTable(engine, tables.requests, fields, left_out=["answer"])
    refused = MysqlRequestTable(engine, tables.refused, tables.refused.c.keys())
    journal = journal or _journal(settings, "answered", settings.journal_limit, sync=settings.journal_sync == "group")
    refusals = _journal(settings, "refused", REFUSALS_BYTES, sync=False)
    # The other journals leave free space for this one: a full disk must not keep them from being drained.
    dead = _journal(settings, "dead", DEAD_LETTERS_BYTES, sync=True, min_free=0)
    letters = DeadLetterOutbox(
        event_log, dead, ReportedRecords(settings.journal / "reported"), dataset.name, health, clock
    )
    folder = Path(tempfile.mkdtemp(prefix="veleta-models-"))
    recent_rows: deque[Values] = deque(maxlen=RECENT_ROWS)
    swapper = ModelSwapper(dataset, registry, NativeBooster, letters, health, clock, folder, recent_rows)
    strict = settings.strict == "1"
    service = PredictionService(
        dataset, swapper, journal, health, clock, settings.queue_limit, recent_rows, strict=strict
    )
    reader = RequestReader(dataset, settings.items_limit)
    adapter = RequestAdapter(service, reader, clock, settings.body_seconds)
    guard = Guard(key_names(settings), settings.client_limit)
    explainers = ExplainerPool(settings.dataset, settings.explainers, settings.explain_seconds)
    drains = {
        "answered": Drain(journal, answered, letters, health),
        "refused": Drain(refusals, refused, letters, health),
        "dead": Drain(dead, letters, letters, health),
    }
    models, levels, training = (topic(dataset.name, name) for name in ("models", "levels", "training"))
    followers: dict[str, PromotionFollower | LevelFollower] = {
        "promotions": PromotionFollower(models, event_log, health, swapper),
        **({"levels": LevelFollower(levels, event_log, health, swapper)} if dataset.market else {}),
    }
    checks: dict[str, Callable[[], Awaitable[object]]] = {
        "kafka": partial(call_in_thread, partial(event_log.check, topics_of(dataset.name, "inference"))),
        "mysql": partial(check_mysql, check_engine),
        "journal": partial(asyncio.to_thread, journal.check),
        **({"workers": peers.check} if peers else {}),
    }
    for dependency in checks:
        health.set_unavailable(dependency, "not yet checked")

    async def follow_trainings() -> None:
        bounds = await health.retry_until_available(partial(asyncio.to_thread, event_log.bounds, training))
        last = {(training, partition): max(first, end - 1) for partition, (first, end) in bounds.items()}
        await tail([training], event_log, health, swapper.handle_training, last)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            for name, follower in followers.items():
                tasks.create_task(health.supervise(name, follower.run()))
            tasks.create_task(health.keep_running("trainings", follow_trainings))
            tasks.create_task(service.wake())
            for dependency, check in (checks | {"mlflow": partial(call_in_thread, registry.check)}).items():
                tasks.create_task(watch_dependency(dependency, check, health, required=dependency in checks))
            for name, drain in drains.items():
                tasks.create_task(health.supervise(f"drain of {name}", drain.run()))
            endless = [
                tasks.create_task(health.supervise("models", swapper.run(settings.reconcile_seconds))),
                tasks.create_task(health.supervise("predictions", service.run())),
            ]
            health.mark_started()
            # The garbage collector would block all responses for 0.1 s to examine what was loaded, which stays anyway.
            gc.collect()
            gc.freeze()
            await health.stopping.wait()
            for task in endless:
                task.cancel()
        await explainers.close()
        await asyncio.to_thread(shutil.rmtree, folder)
        await letters.drain()
        for each in (journal, refusals, dead):
            each.close()
        await asyncio.gather(engine.dispose(), check_engine.dispose())

    app = application(
        adapter,
        KeyedAnswers(adapter, MysqlAnswerTable(engine, tables.requests, fields)),
        explainers,
        guard,
        Refusals(refusals),
        settings.body_limit,
        clock,
    )
    return Service(run, app, forbidden=forbidden, stop_delay=settings.stop_delay)


def key_names(settings: InferenceSettings) -> dict[str, str]:
    """The name of each valid key by its digest. The parts' own keys count only if keys are required."""
    names = names_by_digest(settings.api_keys)
    own = {"monitor": settings.monitor_key, "demo": settings.demo_key}
    return names and names | {digest(key.get_secret_value()): part for part, key in own.items() if key}


def _journal(
    settings: InferenceSettings, name: str, limit: int, *, sync: bool, min_free: int = MIN_FREE_BYTES
) -> JournalFolder:
    try:
        return JournalFolder(settings.journal / name, limit, sync=sync, min_free=min_free)
    except OSError as error:
        raise Stop(f"INFERENCE_JOURNAL={settings.journal}: {error.strerror}") from error
