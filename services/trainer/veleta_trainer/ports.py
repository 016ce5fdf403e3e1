"""The interfaces that the trainer requires, in addition to the shared ports."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from veleta.events.catalogue import BatchClosed, Measures
from veleta.market_levels import LevelHistory
from veleta.ports import DIGEST, NATIVE, ManifestUnitOfWork, Version
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.evaluation import Figure
from veleta_trainer.domain.interval_level import BatchMeasures, IntervalLevelRow
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training import PromotionRow, State, Training, TrainingRequest, TrainingRow


class TrainingRepository(Protocol):
    """PIPELINE.trainings within one transaction."""

    def add(self, request: TrainingRequest, at: datetime) -> None:
        """Insert a waiting request. If it has a row, nothing changes."""

    def exists(self, request_id: str) -> bool:
        """Whether a request has a row."""

    def waiting(self) -> list[TrainingRequest]:
        """The waiting requests, in the order of arrival."""

    def active(self) -> Training | None:
        """The training in progress."""

    def update(self, request_id: str, columns: TrainingRow) -> None:
        """Update the row of a request. Raises StateLost if there is none."""

    def of_version(self, version: int) -> Training | None:
        """The newest training with this version: a registry that was recreated counts from 1 again."""

    def needs_new_request(self) -> bool:
        """Whether a request failed, and none is waiting or in progress."""

    def states(self, request_ids: Collection[str]) -> dict[str, State]:
        """The states of those requests that have a row."""

    def restore(self, rows: Iterable[TrainingRow]) -> None:
        """Insert missing rows, and update those whose state is not ahead."""


class PromotionRepository(Protocol):
    """PIPELINE.promotions within one transaction."""

    def append(self, promotion: PromotionRow) -> PromotionRow:
        """Insert a decision under the next sequence number. If its request has one already, that one is returned."""

    def last_seq(self) -> int | None:
        """The last sequence number. None if there is no decision."""

    def of_request(self, request_id: str) -> PromotionRow | None:
        """The decision that a training request or a command led to."""

    def champion(self) -> PromotionRow | None:
        """The last decision that made a champion."""

    def champions(self) -> list[tuple[int, str]]:
        """Version and outcome of each decision that made a champion, in order."""

    def has_deletion(self, champion: PromotionRow) -> bool:
        """Whether it is stored that the version of this champion was deleted."""

    def restore(self, rows: Iterable[PromotionRow]) -> None:
        """Insert missing decisions under their own sequence numbers."""


class EvaluationRepository(Protocol):
    """PIPELINE.evaluations within one transaction."""

    def replace(self, version: int, measures: Sequence[Measures]) -> None:
        """Store what was measured of a version, in place of what is stored of it: a recreated registry counts anew."""


@dataclass(frozen=True)
class LeaseRow:
    """Who holds the lease, and until when (UTC, by the database's clock). `fence` grows with each holder."""

    holder: str
    fence: int
    expires_at: datetime


class LeaseRepository(Protocol):
    """The row of the lease within one transaction."""

    def now(self) -> datetime:
        """The database's clock, UTC without a zone."""

    def load(self) -> LeaseRow | None:
        """The row, locked until the transaction ends."""

    def save(self, row: LeaseRow) -> None:
        """Insert or replace the row."""


class MarketLevelRepository(Protocol):
    """PIPELINE.market_levels, which drift writes."""

    def history(self, version: int, run_id: str, before: tuple[int, int] | None = None) -> LevelHistory:
        """The levels of a version since its training. Only those `before` a batch, if it is given."""


class IntervalLevelRepository(Protocol):
    """PIPELINE.interval_levels within one transaction."""

    def save(self, row: IntervalLevelRow) -> None:
        """Insert the level of a version after a batch, or replace that of an earlier version with its number."""

    def last(self, version: Version) -> IntervalLevelRow | None:
        """The level of a version after the last batch that it was measured on."""


class TrainerUnitOfWork(ManifestUnitOfWork, Protocol):
    """The trainer's transaction."""

    @property
    def trainings(self) -> TrainingRepository: ...

    @property
    def promotions(self) -> PromotionRepository: ...

    @property
    def evaluations(self) -> EvaluationRepository: ...

    @property
    def interval_levels(self) -> IntervalLevelRepository: ...

    @property
    def market_levels(self) -> MarketLevelRepository: ...

    @property
    def lease(self) -> LeaseRepository: ...


class BatchCache(Protocol):
    """Cleaned batches on disk, so that a training reads and cleans a batch once. It may lose each of them."""

    def load(self, key: str) -> CleanBatch | None:
        """The batch that was stored under a key. None if there is none, or if it is damaged."""

    def store(self, key: str, batch: CleanBatch) -> None:
        """Store a batch. If that is not possible, nothing changes."""


@dataclass(frozen=True)
class FittedModel:
    """The result of fitting: model.cbm and sample.parquet in `folder`, and the metrics on the holdout.

    `recipe` has the batches that could be read. `gates` compare the model with the champion.
    """

    folder: Path
    metrics: dict[str, float]
    recipe: Recipe
    gates: Sequence[Check] = ()


@dataclass(frozen=True)
class LoggedRun:
    """A run in MLflow, with its recipe and the addresses of its two models: the one to register, the native one.

    `native_digest` is the SHA-256 of the native model's file; empty in runs of earlier releases.
    """

    run_id: str
    source: str
    native: str
    native_digest: str
    metrics: dict[str, float]
    recipe: Recipe
    gates: Sequence[Check] = ()
    """Empty in runs of earlier releases."""

    @property
    def native_tags(self) -> dict[str, str]:
        """What a version's tags have about its native model."""
        return {NATIVE: self.native, **({DIGEST: self.native_digest} if self.native_digest else {})}


FITTING, EVALUATING = "fitting", "evaluating"
"""The phases of the progress while trees are fitted, and while the model is measured."""
FITTING_ON_CLUSTER = "fitting on the cluster"
"""The phase of a fit whose trees are not seen one by one."""
WAITING_FOR_CORES = "waiting for a free core of the cluster"
"""The phase while other applications have all cores. The phase before it comes again when it ends."""
ProgressCallback = Callable[[str, int, int, float | None], Awaitable[None]]
"""Reports progress: phase, done, of, and the error on the training rows while trees are fitted.

The same progress may be reported again, which shows that the process is alive.
"""


class Fitter(Protocol):
    """Fits models in a separate process, so that its memory is freed and the service stays responsive."""

    async def fit(self, recipe: Recipe, champion: Version | None, progress: ProgressCallback) -> FittedModel:
        """Fit a model by the recipe, and evaluate the champion on the same holdout.

        A model that was fitted by the same recipe is returned again, also after a restart, until `discard`.

        Raises:
            Retry: Kafka or MLflow is unavailable.
            Reject: the recipe cannot be trained, for example with too few rows.
        """

    async def discard(self) -> None:
        """Delete the fitted model: it cannot be used."""


class VersionChecker(Protocol):
    """Checks a version before a person promotes it."""

    async def check(self, version: Version) -> Sequence[Check]:
        """Each check with its result. After one without which the others mean nothing, there are no more.

        Raises:
            Retry: the registry is unavailable.
        """


class BatchMeasurer(Protocol):
    """Measures a version on a batch."""

    async def measure(
        self, version: Version, manifest: BatchClosed, level: float, history: LevelHistory
    ) -> BatchMeasures | None:
        """What the version's intervals at `level` cover of the batch's holdout. None if it has no intervals.

        `history` has the levels of its market since its training.

        Raises:
            Retry: a dependency is unavailable.
            Reject: the version or the batch cannot be read, or the version learnt from other features.
        """


class Runs(Protocol):
    """Runs in MLflow. Every method blocks, and raises Retry if the server is unreachable.

    A run belongs to the recipe that was planned. Its own recipe has the batches that could be read.
    """

    def prepare_logging(self) -> None:
        """Start the child process of the next call of `log`, whose start takes seconds."""

    def log(self, planned: Recipe, fitted: FittedModel) -> LoggedRun:
        """Log a finished run with its models and artifacts. Repeated after Retry, it continues the same run."""

    def get(self, run_id: str) -> LoggedRun:
        """A logged run."""

    def find(self, planned: Recipe) -> LoggedRun | None:
        """The finished run of a recipe, if this or an earlier trainer logged one."""

    def figures(self, run_id: str) -> list[Figure]:
        """What was measured of a logged run. Empty for a run of an earlier release."""

    def stop_logging(self) -> None:
        """End the child process that was prepared, or that of a call of `log`, which then raises RuntimeError."""

    def end_open(self, planned: Recipe) -> None:
        """End the runs of a recipe that a killed trainer left open, as KILLED. Others are not ours."""

    def to_explain(self) -> list[str]:
        """The ids of the logged runs that have no explanation yet, the oldest first."""

    def download_sample(self, run_id: str, folder: Path) -> None:
        """Download sample.parquet, the rows to explain a run with."""

    def log_explanation(self, run_id: str, folder: Path) -> None:
        """Log the pictures and the table in `folder`. Then the run is explained."""

    def end_explanation(self, run_id: str, failure: str) -> None:
        """Record that a run gets no explanation, and why."""


class Explainer(Protocol):
    """Explains runs."""

    async def explain(self, run_id: str) -> None:
        """Explain a run, and log the explanation. Repeated after a kill, it replaces what was logged.

        Raises:
            Retry: MLflow is unavailable.
            Reject: the model or the rows cannot be read, or the model cannot be explained.
        """
