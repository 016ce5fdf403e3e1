"""The drift report of one batch: everything that drift and the trainer found about it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from veleta.errors import Stop
from veleta.events.catalogue import DriftTest, Histogram, Statistic, VersionErrors
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.retrains import JudgedRetrain
from veleta_monitor.domain.versions import Training

BATCH = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
"""Epoch and number of a batch, as `2/3`."""


@dataclass(frozen=True)
class PolicyResult:
    """The verdict of one policy, with its reason."""

    policy: str
    verdict: str
    reason: str
    unweighted: str = ""
    """The verdict if all columns had the same weight. Empty if they have."""


@dataclass(frozen=True)
class DriftReport:
    """A report with its parts. A report of an earlier release has fewer of them.

    `previous` is the number of the batch before, and `champion` the version whose errors were tested. `judged` is the
    version that this batch has judged. `training` is the training that this batch requested, and `training_effect`
    whether that helped, by a later batch. `importance` is each column's share of the champion's SHAP values.
    """

    batch: Batch
    assessed_at: datetime | None
    closed_at: datetime | None
    previous: int | None
    champion: int | None
    policies: Sequence[PolicyResult] = ()
    tests: Sequence[DriftTest] = ()
    statistics: Sequence[Statistic] = ()
    threshold: float = 0.0
    histograms: Sequence[Histogram] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    saved: int = 0
    """Trainings that the weights of columns saved, up to this batch."""
    errors: Sequence[VersionErrors] = ()
    judged: JudgedRetrain | None = None
    training: Training | None = None
    training_effect: JudgedRetrain | None = None

    @property
    def ordered_tests(self) -> list[DriftTest]:
        """Those that fire first, then those that compare with the champion's training, by their p-values."""
        return sorted(self.tests, key=lambda test: (not test.fires, test.reference != "champion", test.p_value))

    @property
    def ordered_statistics(self) -> list[Statistic]:
        """The largest changes first. An infinite one is the largest, and one that is not a number is the last."""
        return sorted(self.statistics, key=_change, reverse=True)

    @property
    def ordered_histograms(self) -> list[Histogram]:
        """The most important columns first."""
        return sorted(self.histograms, key=lambda each: -self.importance.get(each.column, 0.0))

    def tests_of(self, column: str) -> list[DriftTest]:
        """The tests of a column that compare with the champion's training, in the order of `ordered_tests`."""
        return [
            each
            for each in self.ordered_tests
            if (each.arm, each.reference, each.subject) == ("inputs", "champion", column)
        ]


def _change(statistic: Statistic) -> float:
    if statistic.change is not None:
        return statistic.change
    return math.inf if statistic.exceeds else -math.inf


def parse_batch(text: str) -> tuple[int, int]:
    """Epoch and number of a batch. Raises Stop for another text."""
    if not (match := BATCH.fullmatch(text)):
        raise Stop(f"{text[:64] or 'nothing'} is no batch: use its epoch and number, as 2/3")
    return int(match[1]), int(match[2])
