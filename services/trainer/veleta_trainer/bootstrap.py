"""Builds and connects the parts of the trainer."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry, use_token
from veleta.adapters.mysql import MysqlTransactions, mysql_engine
from veleta.clock import utc_now
from veleta.commands import PendingCommands
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta.ports import EventLog
from veleta.processing.consumer import Consumer
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.threads import call_in_thread
from veleta.timeouts import CHECK_SECONDS
from veleta.topics import topic, topics_of
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.adapters.checker import ChildProcessChecker
from veleta_trainer.adapters.child import ChildProcessFitter, fit_command
from veleta_trainer.adapters.child_protocol import CACHE
from veleta_trainer.adapters.explainer import ChildProcessExplainer
from veleta_trainer.adapters.measurer import ChildProcessMeasurer
from veleta_trainer.adapters.process_memory import default_limit
from veleta_trainer.adapters.repositories import MysqlTrainerUnitOfWork
from veleta_trainer.adapters.runs import MlflowRuns
from veleta_trainer.aliases import Aliases
from veleta_trainer.champion_watch import ChampionWatch
from veleta_trainer.command_handler import COMMAND_TYPES, CommandHandler
from veleta_trainer.domain.catboost_params import catboost_params
from veleta_trainer.domain.fit_limits import MEGABYTE, FitLimits
from veleta_trainer.explanations import Explanations
from veleta_trainer.handlers import SERVICE, RequestHandler
from veleta_trainer.interval_adjuster import IntervalAdjuster
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.settings import TrainerSettings
from veleta_trainer.state_restorer import StateRestorer, own_topics
from veleta_trainer.training_planner import RecipeBuilder, TrainingPlanner
from veleta_trainer.training_recorder import TrainingRecorder
from veleta_trainer.training_workflow import TrainingSteps, TrainingWorkflow

COMMANDS = "commands"
"""The loop that follows the commands. A trainer is ready when it knows which were sent before its start."""
TRAININGS = "trainings"
"""The loop whose activity is shown: the consumer handles records during a training."""
LIBRARIES = ("catboost", "numpy", "pandas", "shap")
"""The libraries whose versions a recipe contains."""


def build(settings: TrainerSettings, health: ServiceHealth) -> Service:
    """The trainer on Kafka, MySQL and MLflow."""
    dataset = load_dataset(settings.dataset)
    event_log = KafkaLog(settings.kafka, SERVICE)
    use_token(settings.mlflow)
    registry = MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)
    runs = MlflowRuns(settings.mlflow.tracking_uri, dataset.name)
    limits = FitLimits(settings.fit_seconds, settings.fit_memory * MEGABYTE or default_limit())
    cache = BatchFiles(settings.work / CACHE, settings.cache * MEGABYTE)
    command = fit_command(settings.engine, settings.threads, cache)
    fitter = ChildProcessFitter(settings.work, command, limits, registry, health)
    # A trainer that is frozen in a transaction loses its locks when its lease expires.
    engine = mysql_engine(settings.mysql, idle_seconds=math.ceil(settings.lease_seconds))
    transactions = MysqlTransactions(engine, MysqlTrainerUnitOfWork)
    checks = MysqlTransactions(mysql_engine(settings.mysql, CHECK_SECONDS), MysqlTrainerUnitOfWork)
    publisher = OutboxPublisher(event_log, transactions, replayed=own_topics(dataset.name))
    fenced = FencedTransactions(transactions, settings.lease_seconds)
    recorder = TrainingRecorder(dataset.name, fenced, publisher, utc_now)
    aliases = Aliases(dataset.promotion.policy, registry, fenced, recorder)
    manifests = Manifests(dataset.name, event_log, fenced)
    recipes = RecipeBuilder(
        dataset,
        manifests,
        catboost_params(settings.trees, settings.depth, settings.seed),
        {name: version(name) for name in LIBRARIES},
        settings.max_rows,
    )
    planner = TrainingPlanner(recipes, aliases, fenced, recorder)
    steps = TrainingSteps(fitter, runs, registry, aliases, recorder, health)
    restorer = StateRestorer(dataset.name, event_log, fenced, health)
    explanations = Explanations(runs, ChildProcessExplainer(registry, runs), health)
    workflow = TrainingWorkflow(planner, steps, recorder, restorer, fenced, explanations, health)
    commands = topic(dataset.name, "commands")
    adjuster = IntervalAdjuster(
        dataset.name,
        fenced,
        manifests,
        registry,
        ChildProcessMeasurer(dataset, registry, cache),
        publisher,
        health,
        utc_now,
    )
    processor = RecordProcessor(RequestHandler(utc_now), transactions, publisher, health, utc_now, dataset.name)
    consumer = Consumer(
        topics=[topic(dataset.name, "retrain"), topic(dataset.name, "batches")],
        used_topics=topics_of(dataset.name, SERVICE),
        group=f"{dataset.name}.trainer",
        event_log=event_log,
        transactions=transactions,
        checks=checks,
        publisher=publisher,
        processor=processor,
        health=health,
    )
    check_registry = partial(call_in_thread, registry.check)
    health.set_unavailable("lease", "not yet requested")
    health.set_unavailable(COMMANDS, "not yet followed")
    health.show_activity_of(TRAININGS)

    def command_handler(pending: PendingCommands) -> CommandHandler:
        return CommandHandler(
            dataset.name, pending, event_log, workflow, fenced, recorder, aliases, registry,
            ChildProcessChecker(dataset, registry), manifests, health, utc_now,
        )  # fmt: skip

    async def run() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watch_dependency("mlflow", check_registry, health))
                group.create_task(consumer.run())
                group.create_task(health.supervise(TRAININGS, workflow.run()))
                group.create_task(health.keep_running("lease", partial(fenced.renew_lease, health)))
                group.create_task(_handle_commands(commands, event_log, command_handler, health))
                group.create_task(health.keep_running("explanations", explanations.run))
                group.create_task(health.keep_running("intervals", adjuster.run))
                group.create_task(health.keep_running("champion", ChampionWatch(registry, checks, health).run))
        finally:
            with contextlib.suppress(Retry):
                await fenced.release_lease()

    return Service(run)


async def _handle_commands(
    commands: str,
    event_log: EventLog,
    command_handler: Callable[[PendingCommands], CommandHandler],
    health: ServiceHealth,
) -> None:
    """Follow the topic of commands, and handle them. Those that are there at first were sent before the start."""
    existing = await health.retry_until_available(partial(asyncio.to_thread, event_log.bounds, commands))
    pending = PendingCommands(SERVICE, COMMAND_TYPES, sum(end for _, end in existing.values()))
    health.set_available(COMMANDS)
    async with asyncio.TaskGroup() as group:
        follow = partial(tail, [commands], event_log, health, pending.on_records)
        group.create_task(health.keep_running(COMMANDS, follow))
        group.create_task(health.keep_running("replies", command_handler(pending).run))
