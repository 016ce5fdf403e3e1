"""The repository and the models that drift requires."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np

from veleta.dataset import Values
from veleta.events.catalogue import (
    Baseline,
    DriftAssessed,
    Growth,
    LevelUpdated,
    PairErrors,
    RetrainJudged,
    RiskState,
)
from veleta.market_levels import MarketLevels
from veleta.ports import ManifestUnitOfWork
from veleta.reference import Reference

SERVICE = "drift"


class Model(Protocol):
    """A version of the model."""

    @property
    def number(self) -> int:
        """The number of the version."""

    @property
    def run_id(self) -> str:
        """The run of its training."""

    @property
    def reference(self) -> Reference | None:
        """What its training left for comparisons. None for a version of an earlier release."""

    @property
    def market(self) -> MarketLevels | None:
        """The levels of its market, which `predict` leaves out. None unless the dataset file declares this market."""

    def predict(self, rows: Sequence[Values]) -> tuple[np.ndarray, np.ndarray]:
        """The logarithm of each row's target, and the expected size of its error (empty without a model of errors)."""

    def unknown(self, rows: Sequence[Values]) -> float:
        """The share of rows with a value that the version has not learnt. 0 without rows."""


class Models(Protocol):
    """The versions that a batch is measured with. Both methods block and raise Retry."""

    def champion(self) -> Model | None:
        """The champion. None if there is none that this dataset file can use."""

    def previous(self) -> Model | None:
        """The version that the champion replaced."""


class NumberedModels(Protocol):
    """The versions that a replay measures batches with."""

    def numbered(self, number: int) -> Model:
        """The version with this number. It blocks.

        Raises:
            Reject: it was deleted, or this dataset file cannot use it.
            Retry: the registry is unavailable.
        """


class ReportRepository(Protocol):
    """The drift reports: PIPELINE.drift_reports, with a table for each part of a report."""

    def exists(self, epoch: int, number: int) -> bool:
        """Whether there is a report on this batch."""

    def baseline(self, epoch: int, number: int) -> Baseline | None:
        """The baseline of the last report of the epoch before batch `number`. None if it has none."""

    def risk(self, epoch: int, number: int, version: int) -> RiskState | None:
        """What the last report with a risk before this batch knows of a version. None if it is about another one."""

    def pair(self, epoch: int, number: int, version: int, previous: int) -> PairErrors | None:
        """What the last report with a pair of versions before this batch knows of these. None if it has others."""

    def growth(self, epoch: int, number: int, version: int) -> Growth | None:
        """The growth of a version in the last report before this batch that has one. None without such a report."""

    def set_growth(self, epoch: int, number: int, growth: Growth) -> None:
        """Add to the report on a batch the growth of a version that was promoted after it."""

    def insert(self, report: DriftAssessed, at: datetime) -> None:
        """Store a report with all its parts."""


class RetrainVerdictRepository(Protocol):
    """PIPELINE.retrain_verdicts."""

    def exists(self, version: int) -> bool:
        """Whether the training of this version was judged."""

    def counts(self) -> Mapping[str, int]:
        """The number of judged trainings by verdict."""

    def insert(self, judged: RetrainJudged, at: datetime) -> None:
        """Store a verdict. Storing it again changes nothing."""


class LevelRepository(Protocol):
    """The levels of versions: PIPELINE.market_levels. An update is of a batch, or of a command without one."""

    def last(self, version: int, run_id: str) -> LevelUpdated | None:
        """The last update of a version."""

    def of_batches(self, version: int, run_id: str, epoch: int, number: int, limit: int) -> list[LevelUpdated]:
        """The last `limit` updates of a version by batches up to this one, in their order."""

    def exists(self, version: int, run_id: str, cause: str) -> bool:
        """Whether a batch or a command, given by the id of its event, has updated this version."""

    def has_digest(self, version: int, run_id: str, digest: str) -> bool:
        """Whether a batch with this digest has updated this version."""

    def last_seq(self) -> int:
        """The number of the dataset's last update, 0 without one."""

    def insert(self, update: LevelUpdated, at: datetime) -> None:
        """Store an update.

        Raises:
            Retry: another worker has just stored one with this number.
        """

    def restore(self, update: LevelUpdated, at: datetime) -> None:
        """Store a published update, unless one with this number is stored."""


class DriftUnitOfWork(ManifestUnitOfWork, Protocol):
    """A transaction of drift."""

    @property
    def reports(self) -> ReportRepository:
        """The drift reports."""

    @property
    def retrain_verdicts(self) -> RetrainVerdictRepository:
        """Whether trainings helped."""

    @property
    def levels(self) -> LevelRepository:
        """The levels of the market."""
