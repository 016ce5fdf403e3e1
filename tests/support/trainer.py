"""A trainer on in-memory ports, for unit tests of its workflow."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.batches import TIME, publish_batch
from support.listings import api_rows
from support.twins.shared import MemoryRegistry, OutboxLog, StrictTransactions
from support.twins.trainer import MemoryBatches, MemoryRuns, MemoryTrainerUnitOfWork
from veleta.batches import BatchReader, read_events
from veleta.commands import PendingCommands
from veleta.dataset import load_dataset
from veleta.events.catalogue import BatchClosed, CommandAccepted, CommandRefused, Measures, TrainerCommand
from veleta.events.envelope import Event, decode, encode
from veleta.market_levels import LevelHistory
from veleta.ports import EventLog, Version
from veleta.processing.manifests import Manifests
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.tail import tail
from veleta.reference import Reference
from veleta.service.health import ServiceHealth
from veleta.topics import TopicName, topic
from veleta_trainer.aliases import Aliases
from veleta_trainer.clean_batch_reader import CleanBatchReader
from veleta_trainer.command_handler import COMMAND_TYPES, CommandHandler
from veleta_trainer.domain import events
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.gates import mae_gate
from veleta_trainer.domain.interval_level import BatchMeasures, IntervalLevelRow
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training import PromotionRow, TrainingRequest, TrainingRow
from veleta_trainer.explanations import Explanations
from veleta_trainer.interval_adjuster import IntervalAdjuster
from veleta_trainer.lease import FencedTransactions
from veleta_trainer.ports import EVALUATING, FITTING, FittedModel, LeaseRow, ProgressCallback
from veleta_trainer.recipe_reader import RecipeReader
from veleta_trainer.state_restorer import StateRestorer, own_topics
from veleta_trainer.training_planner import RecipeBuilder, TrainingPlanner
from veleta_trainer.training_recorder import TrainingRecorder
from veleta_trainer.training_workflow import TrainingSteps, TrainingWorkflow

DATASET = load_dataset("real_estate")
FAULT_POINTS = tuple(
    f"trainer.{name}"
    for name in (
        "planned", "trained", "logged", "fitted", "created", "registered",
        "decided", "tagged", "previous", "promoted", "aliased", "finished",
    )
)  # fmt: skip
"""Where a trainer may be killed, in the order of a training."""
COMMANDS = topic(DATASET.name, "commands")
REFERENCE = Reference(
    numbers={"bed": [1, 2, 2, 5]},
    texts={"city": ["Añasco", "Zion", "Zion", "Zion"]},
    signed=[-0.25, 0.75],
    sizes=[0.125, 0.25],
    slices={"state": ["Ohio", "Texas"]},
    unknown=0.5,
    importance={"bed": 0.75, "city": 0.25},
    train_rows=4,
    holdout_rows=2,
)
"""What a training leaves of its version."""


ENDLESS = float("inf")


class Killed(BaseException):
    """The end of the process."""


def request(number: int, epoch: int = 1, *, first: bool = False) -> TrainingRequest:
    """The training request of a batch."""
    name = f"real_estate/{epoch}/{number}"
    return TrainingRequest(f"{name}/retrain", epoch, number, "drift", first, [name], f"{name}/assessed", "")


def recipe(**fields: Any) -> Recipe:
    """A recipe without batches; `fields` replace its own."""
    own = Recipe(
        request_id="real_estate/1/0/retrain",
        dataset=DATASET.name,
        dataset_digest=DATASET.digest,
        dataset_file=DATASET.text,
        feature_version=1,
        batches=[],
        more_holdout=[],
        champion=None,
        params={"iterations": 1, "random_seed": 0},
        libraries={},
    )
    return own.model_copy(update=fields)


class FakeFitter:
    """Returns a model with the next of `maes`, or raises it if it is an error. The champion's MAE is 100.

    With the MAE `ENDLESS` it fits until it is cancelled.

    It reads the rows of the recipe, as the child process does. With a reason in `not_compared` the champion has no MAE.
    """

    def __init__(self, log: EventLog, *maes: float | BaseException) -> None:
        self._log = log
        self._maes = list(maes)
        self.not_compared = ""
        self.champions: list[int | None] = []
        self._fitted: tuple[Recipe, FittedModel] | None = None

    async def fit(self, recipe: Recipe, champion: Version | None, progress: ProgressCallback) -> FittedModel:
        if self._fitted and self._fitted[0] == recipe:
            return self._fitted[1]
        self.champions.append(champion.number if champion else None)
        await progress(FITTING, 1, 2, 0.5)
        await progress(EVALUATING, 0, 1, None)
        reader = CleanBatchReader(DATASET, BatchReader(self._log), MemoryBatches())
        read = RecipeReader(DATASET, reader, lambda _done, _of: None).read(recipe)
        mae = self._maes.pop(0)
        if mae is ENDLESS:
            await asyncio.Event().wait()
        if isinstance(mae, BaseException):
            raise mae
        gates = [mae_gate(mae, 100.0, 9, champion.number)] if champion and not self.not_compared else []
        read = read.model_copy(update={"not_compared": self.not_compared})
        metrics = {"mae": mae, "holdout_rows": 9.0, "accuracy": 1 / mae}
        self._fitted = recipe, FittedModel(Path(), metrics, read, gates)
        return self._fitted[1]

    async def discard(self) -> None:
        self._fitted = None


class FakeChecker:
    """Finds these faults of versions."""

    def __init__(self) -> None:
        self.faults: dict[int, str] = {}

    async def check(self, version: Version) -> list[Check]:
        fault = self.faults.get(version.number)
        return [Check("file", "fine", passed=True), Check("model", fault or "it loads", passed=not fault)]


class FakeExplainer:
    """Explains a run, or raises the next of `failures`. With ENDLESS it explains until it is cancelled."""

    def __init__(self, runs: MemoryRuns) -> None:
        self._runs = runs
        self.failures: list[BaseException | float] = []
        self.explained: list[str] = []

    async def explain(self, run_id: str) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if failure is ENDLESS:
            await asyncio.Event().wait()
        if isinstance(failure, BaseException):
            raise failure
        self._runs.log_explanation(run_id, Path())
        self.explained.append(run_id)


class FakeMeasurer:
    """Returns these measures of each batch, or raises them if they are an error."""

    def __init__(self) -> None:
        self.measures: BatchMeasures | Exception | None = BatchMeasures(rows=200, coverage=0.7)
        self.measured: list[tuple[int, str, float]] = []
        self.history = LevelHistory()
        """The version, the batch and the level of each call."""

    async def measure(
        self, version: Version, manifest: BatchClosed, level: float, history: LevelHistory
    ) -> BatchMeasures | None:
        self.history = history
        self.measured.append((version.number, manifest.batch, level))
        if isinstance(self.measures, Exception):
            raise self.measures
        return self.measures


class TrainerHarness:
    """The ports of a trainer, with three published batches. `new_trainer` builds a trainer on them, like a restart."""

    def __init__(self, *maes: float | BaseException) -> None:
        self.health = ServiceHealth("trainer")
        self.transactions = StrictTransactions(MemoryTrainerUnitOfWork())
        self.log = OutboxLog("trainer", lambda: self.transactions.committed.outbox)
        self.registry = MemoryRegistry()
        self.runs = MemoryRuns()
        self.fitter = FakeFitter(self.log, *maes)
        self.dataset = DATASET
        self.checker = FakeChecker()
        self.explainer = FakeExplainer(self.runs)
        self.measurer = FakeMeasurer()
        self.commands_sent = 0
        for number in range(3):
            publish_batch(self.log, DATASET, 1, number, api_rows(0, 30, number))

    async def add_request(self, added: TrainingRequest) -> None:
        """Publish a request as drift does, and insert it as the consumer does."""
        payload = events.requested(added, DATASET.name)
        event = Event(added.request_id, "drift", TIME, payload, cause=added.cause, trace=added.trace)
        self.log.publish([encode(topic(DATASET.name, "retrain"), event)])
        await self.transactions.run(lambda uow: uow.trainings.add(added, TIME))

    def new_trainer(self) -> TrainingWorkflow:
        """A trainer of a new process. The lease of the one before it has expired."""
        self.transactions.committed.lease.clock += timedelta(hours=1)
        health = self.health = ServiceHealth("trainer")
        fenced = FencedTransactions(self.transactions, 10.0)
        publisher = OutboxPublisher(self.log, self.transactions, replayed=own_topics(DATASET.name))
        recorder = TrainingRecorder(DATASET.name, fenced, publisher, lambda: TIME)
        aliases = Aliases(self.dataset.promotion.policy, self.registry, fenced, recorder)
        manifests = Manifests(DATASET.name, self.log, fenced)
        recipes = RecipeBuilder(self.dataset, manifests, {"iterations": 1, "random_seed": 0}, {}, 0)
        planner = TrainingPlanner(recipes, aliases, fenced, recorder)
        steps = TrainingSteps(self.fitter, self.runs, self.registry, aliases, recorder, health)
        restorer = StateRestorer(DATASET.name, self.log, fenced, health)
        self.explanations = Explanations(self.runs, self.explainer, health)
        workflow = TrainingWorkflow(planner, steps, recorder, restorer, fenced, self.explanations, health)
        self.adjuster = IntervalAdjuster(
            DATASET.name, fenced, manifests, self.registry, self.measurer, publisher, health, lambda: TIME
        )
        ((_, end),) = self.log.bounds(COMMANDS).values()
        self.pending = PendingCommands("trainer", COMMAND_TYPES, end)
        self.command_handler = CommandHandler(
            DATASET.name, self.pending, self.log, workflow, fenced, recorder, aliases, self.registry, self.checker,
            manifests, health, lambda: TIME,
        )  # fmt: skip
        return workflow

    def send(self, command: TrainerCommand, command_id: str = "") -> str:
        """Send a command as `make` does, or the one with this id again. Returns its id."""
        self.commands_sent += 1
        command_id = command_id or f"{DATASET.name}/{command.TYPE}/{self.commands_sent}"
        self.log.publish([encode(COMMANDS, Event(command_id, "shell", TIME, command))])
        return command_id

    async def handle_commands(self) -> None:
        """Follow the topic `commands`, and handle the commands that are due."""
        follow = asyncio.create_task(tail([COMMANDS], self.log, self.health, self.pending.on_records))
        try:
            await self.command_handler.handle_due()
        finally:
            follow.cancel()

    async def obey(self, command: TrainerCommand) -> str:
        """The reply of a new trainer, which is idle, to a command."""
        await self.new_trainer().take_over()
        command_id = self.send(command)
        await self.handle_commands()
        (reply,) = self.replies(command_id)
        return reply

    def replies(self, command_id: str) -> list[str]:
        """The replies to a command: its effect, or `refused: ` and the reason."""
        payloads = [event.payload for event in read_events(self.log, DATASET.name, "commands")]
        return [
            payload.effect if isinstance(payload, CommandAccepted) else f"refused: {payload.reason}"
            for payload in payloads
            if isinstance(payload, CommandAccepted | CommandRefused) and payload.command == command_id
        ]

    async def adjust_intervals(self) -> None:
        """Adjust the level of the champion's intervals, as a new trainer does."""
        await self.new_trainer().take_over()
        await self.adjuster.adjust()

    async def finish(self) -> None:
        """Advance until nothing is left to do, each step by a new trainer."""
        advanced = True
        while advanced:
            trainer = self.new_trainer()
            await trainer.take_over()
            advanced = await trainer.advance()

    def give_lease_to_another(self) -> None:
        """Another trainer holds the lease from now on."""
        lease = self.transactions.committed.lease
        lease.row = LeaseRow("another", 7, lease.clock + timedelta(seconds=1))

    def wipe(self) -> None:
        """Replace the database by an empty one."""
        self.transactions.committed = MemoryTrainerUnitOfWork()

    @property
    def rows(self) -> Mapping[str, TrainingRow]:
        """PIPELINE.trainings by request."""
        return self.transactions.committed.trainings.rows

    @property
    def interval_levels(self) -> list[IntervalLevelRow]:
        """PIPELINE.interval_levels."""
        return [*self.transactions.committed.interval_levels.rows.values()]

    @property
    def promotions(self) -> list[PromotionRow]:
        """PIPELINE.promotions."""
        return self.transactions.committed.promotions.rows

    @property
    def evaluations(self) -> dict[int, list[Measures]]:
        """PIPELINE.evaluations by version."""
        return self.transactions.committed.evaluations.rows

    def row(self, of: TrainingRequest) -> TrainingRow:
        return self.rows[of.request_id]

    def ids(self, name: TopicName) -> list[str]:
        """The ids of a topic's events, each once, in order."""
        return list(dict.fromkeys(event.id for event in read_events(self.log, DATASET.name, name)))

    def types(self, name: TopicName) -> list[str]:
        """The types of a topic's events, without progress."""
        records = self.log.read(topic(DATASET.name, name), 0, 0, 10_000)
        types = [decode(record).type for record in records]
        return [name for name in types if name != "training.progress"]
