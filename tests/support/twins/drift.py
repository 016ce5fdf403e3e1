"""Drift's repository in memory."""

from datetime import datetime

from support.twins import duplicate_key
from support.twins.shared import MemoryManifests, MemoryUnitOfWork
from veleta.events.catalogue import Baseline, DriftAssessed


class MemoryReports:
    """`ReportRepository` in a dict."""

    def __init__(self) -> None:
        self.reports: dict[tuple[int, int], DriftAssessed] = {}
        self.assessed_at: dict[tuple[int, int], datetime] = {}

    def exists(self, epoch: int, number: int) -> bool:
        return (epoch, number) in self.reports

    def baseline(self, epoch: int, number: int) -> Baseline | None:
        numbers = [each for other, each in self.reports if other == epoch and each < number]
        return self.reports[epoch, max(numbers)].baseline if numbers else None

    def insert(self, report: DriftAssessed, at: datetime) -> None:
        key = report.epoch, report.number
        if key in self.reports:
            raise duplicate_key(key)
        self.reports[key] = report
        self.assessed_at[key] = at


class MemoryDriftUnitOfWork(MemoryUnitOfWork):
    """`DriftUnitOfWork` in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.manifests = MemoryManifests()
        self.reports = MemoryReports()
