"""The level of the champion's intervals, which the coverage of each batch adjusts."""

from dataclasses import asdict, dataclass
from datetime import datetime

from veleta.events.catalogue import BatchClosed, IntervalsAdjusted
from veleta.intervals import COVERAGE, AdjustedLevel, next_level
from veleta.ports import Version

MIN_ROWS = 10
"""A batch with fewer rows to measure adjusts nothing."""


@dataclass(frozen=True)
class BatchMeasures:
    """What a version predicts for the clean holdout rows of a batch: the rows with an interval, and what these cover.

    `coverage` is the share of the prices in their intervals, 0 without rows.
    """

    rows: int
    coverage: float


@dataclass(frozen=True)
class IntervalLevelRow:
    """A row of PIPELINE.interval_levels: the level of a version after a batch.

    The version with a number may have another run: a registry that was recreated counts from 1 again.
    """

    version: int
    epoch: int
    number: int
    run_id: str
    measured_rows: int
    coverage: float
    level_before: float
    level: float
    adjusted_at: datetime

    @classmethod
    def of_event(cls, payload: IntervalsAdjusted, at: datetime) -> "IntervalLevelRow":
        """The row that an event reports."""
        fields = payload.model_dump(exclude={"model", "rows"})
        return cls(**fields, measured_rows=payload.rows, adjusted_at=at)

    @property
    def adjusted(self) -> AdjustedLevel:
        """The level as inference needs it."""
        return AdjustedLevel(self.epoch, self.number, self.level)

    def payload(self, model: str) -> IntervalsAdjusted:
        """The payload of its event."""
        return IntervalsAdjusted(model=model, rows=self.measured_rows, **asdict(self))


def level_of(last: IntervalLevelRow | None) -> float:
    """The level of a version. A new version has that of its calibration."""
    return last.level if last else COVERAGE


def adjusted(
    version: Version, manifest: BatchClosed, measures: BatchMeasures, level: float, now: datetime
) -> IntervalLevelRow:
    """The row of a batch that was measured at `level`."""
    after = next_level(level, measures.coverage, measures.rows)
    return IntervalLevelRow(
        version.number,
        manifest.epoch,
        manifest.number,
        version.run_id,
        measures.rows,
        measures.coverage,
        level,
        after,
        now,
    )
