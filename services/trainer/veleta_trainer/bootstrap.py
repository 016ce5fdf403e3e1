"""Builds the trainer and connects it."""

import asyncio
import contextlib
from functools import partial
from importlib.metadata import version

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.adapters.mysql import MysqlTransactions, mysql_engine
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.errors import Retry, StateLost
from veleta.ports import CHAMPION, EventLog, Registry
from veleta.processing.consumer import consume
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import RecordProcessor
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.topics import topic
from veleta_trainer.adapters.child import ChildFitting
from veleta_trainer.adapters.runs import MlflowRuns
from veleta_trainer.adapters.trainings import MysqlTrainerUnitOfWork
from veleta_trainer.aliases import Aliases
from veleta_trainer.cycle import Cycle
from veleta_trainer.fenced import Fenced
from veleta_trainer.handlers import SERVICE, Requests
from veleta_trainer.lease import Lease
from veleta_trainer.ports import Fitting, Runs
from veleta_trainer.restoring import Restoring
from veleta_trainer.settings import TrainerSettings

LIBRARIES = ("catboost", "numpy", "pandas", "shap")
"""Those whose versions a recipe names."""

ASKED_SECONDS = 0.5
"""How soon the lease is asked for again while it is not ours."""


def build(
    settings: TrainerSettings,
    health: ServiceHealth,
    *,
    log: EventLog | None = None,
    registry: Registry | None = None,
    runs: Runs | None = None,
    fitting: Fitting | None = None,
    clock: Clock = utc_now,
) -> Service:
    """The trainer on Kafka, MySQL and MLflow; each port can be replaced."""
    dataset = load_dataset(settings.dataset)
    log = log or KafkaLog(settings.kafka.bootstrap, SERVICE)
    registry = registry or MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)
    transactions = MysqlTransactions(mysql_engine(settings.mysql), MysqlTrainerUnitOfWork)
    publisher = OutboxPublisher(log, transactions)
    lease = Lease(settings.lease_seconds)
    fenced = Fenced(transactions, lease)
    cycle = Cycle(
        dataset,
        log,
        fenced,
        publisher,
        restore=Restoring(dataset.name, log, transactions, lease).restore,
        registry=registry,
        aliases=Aliases(dataset.name, registry, fenced, clock),
        runs=runs or MlflowRuns(settings.mlflow.tracking_uri, dataset.name),
        fitting=fitting or ChildFitting(settings.work, settings.kafka.bootstrap, settings.threads, registry, health),
        params=params(settings),
        libraries={name: version(name) for name in LIBRARIES},
        health=health,
        clock=clock,
    )
    processor = RecordProcessor(Requests(clock), transactions, publisher, health, clock, dataset.name)
    taken = [topic(dataset.name, "retrain"), topic(dataset.name, "batches")]
    take = partial(consume, taken, f"{dataset.name}.trainer", log, transactions, publisher, processor, health)

    health.set_unavailable("lease", "not yet asked for")

    async def renew() -> None:
        """Ask for the lease: often until it is ours, then in time to keep it; /readyz says whether it is."""
        going_on, often = True, min(ASKED_SECONDS, settings.lease_seconds / 3)
        while going_on:
            seconds = often
            try:
                await fenced.check()
            except Retry as error:
                if error.dependency == "lease":
                    health.set_unavailable("lease", str(error))
            except StateLost as error:
                health.set_unavailable("lease", str(error))
            else:
                health.set_available("lease")
                seconds = settings.lease_seconds / 3
            going_on = await health.sleep(seconds)

    async def run() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    watch_dependency("mlflow", partial(asyncio.to_thread, registry.alias, CHAMPION), health)
                )
                for task in (take, cycle.run, renew):
                    group.create_task(task())
        finally:
            with contextlib.suppress(Retry):
                await transactions.run(lease.release)

    return Service(run)


def params(settings: TrainerSettings) -> dict[str, str | int | float]:
    """CatBoost's parameters. The complexity of combined categories is set, for its default changes with the trees."""
    return {
        "loss_function": "RMSE",
        "iterations": settings.trees,
        "depth": settings.depth,
        "random_seed": settings.seed,
        "max_ctr_complexity": 2,
    }
