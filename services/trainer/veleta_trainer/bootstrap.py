"""Builds the trainer and connects it."""

import asyncio
from functools import partial
from importlib.metadata import version

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.adapters.mysql import MysqlLedger, mysql_engine
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.life import Life
from veleta.loop import Intake, Relay, consume
from veleta.ports import EventLog, Registry
from veleta.service import Service
from veleta.topics import topic
from veleta_trainer.adapters.child import ChildFitting
from veleta_trainer.adapters.runs import MlflowRuns
from veleta_trainer.adapters.trainings import MysqlTrainings
from veleta_trainer.cycle import SERVICE, Cycle
from veleta_trainer.handlers import Requests
from veleta_trainer.ports import Fitting, Runs
from veleta_trainer.settings import TrainerSettings

LIBRARIES = ("catboost", "numpy", "pandas", "shap")
"""Those whose versions a recipe names."""


def build(
    settings: TrainerSettings,
    life: Life,
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
    ledger = MysqlLedger(mysql_engine(settings.mysql), SERVICE)
    relay = Relay(log, ledger)
    cycle = Cycle(
        dataset,
        log,
        ledger,
        relay,
        trainings=lambda work: MysqlTrainings(work.sql),
        registry=registry,
        runs=runs or MlflowRuns(settings.mlflow.tracking_uri, dataset.name),
        fitting=fitting or ChildFitting(settings.work, settings.kafka.bootstrap, settings.threads, registry, life),
        params=params(settings),
        libraries={name: version(name) for name in LIBRARIES},
        life=life,
        clock=clock,
    )
    intake = Intake(Requests(lambda work: MysqlTrainings(work.sql)), ledger, relay, life, clock, dataset.name)
    retrain = topic(dataset.name, "retrain")
    take = partial(consume, [retrain], f"{dataset.name}.trainer", log, ledger, relay, intake, life)

    async def run() -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(take())
            both.create_task(cycle.run())

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
