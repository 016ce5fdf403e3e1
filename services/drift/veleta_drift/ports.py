"""The repository that drift requires."""

from datetime import datetime
from typing import Protocol

from veleta.events.catalogue import Baseline, DriftAssessed
from veleta.ports import ManifestUnitOfWork


class ReportRepository(Protocol):
    """The drift reports: PIPELINE.drift_reports, drift_metrics and batch_comparison."""

    def exists(self, epoch: int, number: int) -> bool:
        """Whether there is a report on this batch."""

    def baseline(self, epoch: int, number: int) -> Baseline | None:
        """The baseline of the last report of the epoch before batch `number`. None if it has none."""

    def insert(self, report: DriftAssessed, at: datetime) -> None:
        """Store a report with all its statistics."""


class DriftUnitOfWork(ManifestUnitOfWork, Protocol):
    """A transaction of drift."""

    @property
    def reports(self) -> ReportRepository:
        """The drift reports."""
