"""Builds the trainer and connects it."""

import asyncio
import contextlib
from functools import partial
from importlib.metadata import version

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.adapters.mysql import MysqlLedger, mysql_engine
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.errors import Lost, Retry
from veleta.life import Life, watch
from veleta.loop import Intake, Relay, consume
from veleta.ports import CHAMPION, EventLog, Registry, Work
from veleta.service import Service
from veleta.topics import topic
from veleta_trainer.adapters.child import ChildFitting
from veleta_trainer.adapters.lease import MysqlLease
from veleta_trainer.adapters.runs import MlflowRuns
from veleta_trainer.adapters.trainings import MysqlTrainings
from veleta_trainer.aliases import Aliases
from veleta_trainer.cycle import Cycle
from veleta_trainer.fenced import Fenced
from veleta_trainer.handlers import SERVICE, Requests
from veleta_trainer.ports import Fitting, Runs, Trainings
from veleta_trainer.restoring import Restoring
from veleta_trainer.settings import TrainerSettings

LIBRARIES = ("catboost", "numpy", "pandas", "shap")
"""Those whose versions a recipe names."""

ASKED_SECONDS = 0.5
"""How soon the lease is asked for again while it is not ours."""


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
    lease = MysqlLease(settings.lease_seconds)
    fenced = Fenced(ledger, lease)
    cycle = Cycle(
        dataset,
        log,
        fenced,
        relay,
        trainings=_trainings,
        restore=Restoring(dataset.name, log, ledger, lease, _trainings).restore,
        registry=registry,
        aliases=Aliases(dataset.name, registry, fenced, _trainings, clock),
        runs=runs or MlflowRuns(settings.mlflow.tracking_uri, dataset.name),
        fitting=fitting or ChildFitting(settings.work, settings.kafka.bootstrap, settings.threads, registry, life),
        params=params(settings),
        libraries={name: version(name) for name in LIBRARIES},
        life=life,
        clock=clock,
    )
    intake = Intake(Requests(_trainings, clock), ledger, relay, life, clock, dataset.name)
    taken = [topic(dataset.name, "retrain"), topic(dataset.name, "batches")]
    take = partial(consume, taken, f"{dataset.name}.trainer", log, ledger, relay, intake, life)

    life.lacks("lease", "not yet asked for")

    async def renew() -> None:
        """Ask for the lease: often until it is ours, then in time to keep it; /readyz says whether it is."""
        going_on, often = True, min(ASKED_SECONDS, settings.lease_seconds / 3)
        while going_on:
            seconds = often
            try:
                await fenced.check()
            except Retry as error:
                if error.what == "lease":
                    life.lacks("lease", str(error))
            except Lost as error:
                life.lacks("lease", str(error))
            else:
                life.found("lease")
                seconds = settings.lease_seconds / 3
            going_on = await life.pause(seconds)

    async def run() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watch("mlflow", partial(asyncio.to_thread, registry.alias, CHAMPION), life))
                for task in (take, cycle.run, renew):
                    group.create_task(task())
        finally:
            with contextlib.suppress(Retry):
                await ledger.run(lease.release)

    return Service(run)


def _trainings(work: Work) -> Trainings:
    return MysqlTrainings(work.sql)


def params(settings: TrainerSettings) -> dict[str, str | int | float]:
    """CatBoost's parameters. The complexity of combined categories is set, for its default changes with the trees."""
    return {
        "loss_function": "RMSE",
        "iterations": settings.trees,
        "depth": settings.depth,
        "random_seed": settings.seed,
        "max_ctr_complexity": 2,
    }
