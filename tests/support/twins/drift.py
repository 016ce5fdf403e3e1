"""Drift's repository in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from support.twins import duplicate_key
from support.twins.shared import MemoryManifests, MemoryUnitOfWork
from veleta.errors import Reject, Retry
from veleta.events.catalogue import (
    Baseline,
    DriftAssessed,
    Growth,
    LevelUpdated,
    PairErrors,
    RetrainJudged,
    RiskState,
)
from veleta_drift.ports import Model


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

    def risk(self, epoch: int, number: int, version: int) -> RiskState | None:
        earlier = [key for key, report in self.reports.items() if key < (epoch, number) and report.risk]
        state = self.reports[max(earlier)].risk if earlier else None
        return state if state and state.version == version else None

    def pair(self, epoch: int, number: int, version: int, previous: int) -> PairErrors | None:
        earlier = [key for key, report in self.reports.items() if key < (epoch, number) and report.pair]
        state = self.reports[max(earlier)].pair if earlier else None
        return state if state and (state.version, state.previous) == (version, previous) else None

    def growth(self, epoch: int, number: int, version: int) -> Growth | None:
        found = {key: report.growth for key, report in self.reports.items() if key < (epoch, number) and report.growth}
        own = [key for key, growth in found.items() if growth.version == version]
        return found[max(own)] if own else None

    def set_growth(self, epoch: int, number: int, growth: Growth) -> None:
        self.reports[epoch, number] = self.reports[epoch, number].model_copy(update={"growth": growth})

    def insert(self, report: DriftAssessed, at: datetime) -> None:
        key = report.epoch, report.number
        if key in self.reports:
            raise duplicate_key(key)
        self.reports[key] = report
        self.assessed_at[key] = at


class MemoryRetrainVerdicts:
    """`RetrainVerdictRepository` in a dict."""

    def __init__(self) -> None:
        self.verdicts: dict[int, RetrainJudged] = {}

    def exists(self, version: int) -> bool:
        return version in self.verdicts

    def counts(self) -> Mapping[str, int]:
        return Counter(judged.verdict for judged in self.verdicts.values())

    def insert(self, judged: RetrainJudged, at: datetime) -> None:
        self.verdicts.setdefault(judged.version, judged)


class MemoryLevels:
    """`LevelRepository` in a dict."""

    def __init__(self) -> None:
        self.updates: dict[int, LevelUpdated] = {}

    def last(self, version: int, run_id: str) -> LevelUpdated | None:
        return next(reversed(self._of(version, run_id)), None)

    def of_batches(self, version: int, run_id: str, epoch: int, number: int, limit: int) -> list[LevelUpdated]:
        found = self._of(version, run_id)
        return [e for e in found if e.epoch and (e.epoch, e.number or 0) <= (epoch, number)][-limit:]

    def exists(self, version: int, run_id: str, cause: str) -> bool:
        return any(each.cause == cause for each in self._of(version, run_id))

    def has_digest(self, version: int, run_id: str, digest: str) -> bool:
        return any(each.digest == digest for each in self._of(version, run_id))

    def last_seq(self) -> int:
        return max(self.updates, default=0)

    def insert(self, update: LevelUpdated, at: datetime) -> None:
        if update.seq in self.updates:
            raise Retry("mysql", f"another worker stored update {update.seq} of the level")
        self.updates[update.seq] = update

    def restore(self, update: LevelUpdated, at: datetime) -> None:
        self.updates.setdefault(update.seq, update)

    def _of(self, version: int, run_id: str) -> list[LevelUpdated]:
        found = [each for _, each in sorted(self.updates.items())]
        return [each for each in found if (each.version, each.run_id) == (version, run_id)]


@dataclass
class MemoryModels:
    """`Models` in two attributes, and `NumberedModels` by those and `older` ones."""

    current: Model | None = None
    replaced: Model | None = None
    older: Sequence[Model] = ()

    def champion(self) -> Model | None:
        return self.current

    def previous(self) -> Model | None:
        return self.replaced

    def numbered(self, number: int) -> Model:
        for model in (self.current, self.replaced, *self.older):
            if model and model.number == number:
                return model
        raise Reject(f"version {number} was deleted")


class MemoryDriftUnitOfWork(MemoryUnitOfWork):
    """`DriftUnitOfWork` in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.manifests = MemoryManifests()
        self.reports = MemoryReports()
        self.retrain_verdicts = MemoryRetrainVerdicts()
        self.levels = MemoryLevels()
