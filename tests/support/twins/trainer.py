"""The trainer's ports in memory. The repositories pass the same contract suite as those in MySQL."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from support.twins import duplicate_key
from support.twins.shared import MemoryManifests, MemoryUnitOfWork
from veleta.errors import StateLost
from veleta.events.catalogue import LevelUpdated, Measures, Profile
from veleta.market_levels import LevelHistory, history_of
from veleta.ports import Version
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.evaluation import Figure
from veleta_trainer.domain.interval_level import IntervalLevelRow
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training import (
    ACTIVE_STATES,
    CHAMPION_DECISIONS,
    TRANSITIONS,
    PromotionRow,
    State,
    Training,
    TrainingRequest,
    TrainingRow,
    progress,
    waiting_row,
)
from veleta_trainer.ports import FittedModel, LeaseRow, LoggedRun


class MemoryTrainings:
    """`TrainingRepository` in a dict."""

    def __init__(self) -> None:
        self.rows: dict[str, TrainingRow] = {}

    def add(self, request: TrainingRequest, at: datetime) -> None:
        self.restore([waiting_row(request, at)])

    def exists(self, request_id: str) -> bool:
        return request_id in self.rows

    def waiting(self) -> list[TrainingRequest]:
        waiting = [row for row in self.rows.values() if row["state"] == "waiting"]
        return [TrainingRequest(**row["cause"]) for row in sorted(waiting, key=lambda row: row["requested_at"])]

    def active(self) -> Training | None:
        rows = [row for row in self.rows.values() if row["state"] in ACTIVE_STATES]
        return _training(min(rows, key=lambda row: row["started_at"])) if rows else None

    def update(self, request_id: str, columns: TrainingRow) -> None:
        if request_id not in self.rows:
            raise StateLost(f"the row of {request_id} is missing")
        self.rows[request_id].update(columns)

    def of_version(self, version: int) -> Training | None:
        rows = [row for row in self.rows.values() if row.get("version") == version]
        return _training(max(rows, key=lambda row: row["requested_at"])) if rows else None

    def needs_new_request(self) -> bool:
        states = {row["state"] for row in self.rows.values()}
        return "failed" in states and not states.intersection(TRANSITIONS)

    def states(self, request_ids: Collection[str]) -> dict[str, State]:
        return {name: self.rows[name]["state"] for name in request_ids if name in self.rows}

    def restore(self, rows: Iterable[TrainingRow]) -> None:
        for row in rows:
            stored = self.rows.setdefault(row["request_id"], {"attempts": 0, **row})
            if progress(row["state"]) >= progress(stored["state"]):
                stored.update(row)


class MemoryPromotions:
    """`PromotionRepository` in a list."""

    def __init__(self) -> None:
        self.rows: list[PromotionRow] = []

    def append(self, promotion: PromotionRow) -> PromotionRow:
        if promotion.cause and (stored := self.of_request(promotion.cause)):
            return stored
        self.rows.append(replace(promotion, seq=max((row.seq for row in self.rows), default=0) + 1))
        return self.rows[-1]

    def last_seq(self) -> int | None:
        return max((row.seq for row in self.rows), default=None)

    def of_request(self, request_id: str) -> PromotionRow | None:
        return next((row for row in self.rows if row.cause == request_id), None)

    def champion(self) -> PromotionRow | None:
        return next((row for row in reversed(self.rows) if row.decision in CHAMPION_DECISIONS), None)

    def champions(self) -> list[tuple[int, str]]:
        return [(row.version, row.decision) for row in self.rows if row.decision in CHAMPION_DECISIONS]

    def has_deletion(self, champion: PromotionRow) -> bool:
        later = [row for row in self.rows if row.seq > champion.seq and row.decision == "deleted"]
        return champion.version in [row.version for row in later]

    def restore(self, rows: Iterable[PromotionRow]) -> None:
        stored = {row.seq for row in self.rows}
        rows = sorted([*self.rows, *(row for row in rows if row.seq not in stored)], key=lambda row: row.seq)
        if repeated := [cause for cause, count in Counter(row.cause for row in rows).items() if cause and count > 1]:
            raise duplicate_key(repeated)
        self.rows = rows


class MemoryIntervalLevels:
    """`IntervalLevelRepository` in a dict."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int, int], IntervalLevelRow] = {}

    def save(self, row: IntervalLevelRow) -> None:
        self.rows[row.version, row.epoch, row.number] = row

    def last(self, version: Version) -> IntervalLevelRow | None:
        own = [row for row in self.rows.values() if (row.version, row.run_id) == (version.number, version.run_id)]
        return max(own, key=lambda row: (row.epoch, row.number), default=None)


class MemoryMarketLevels:
    """`MarketLevelRepository` in a list, in order."""

    def __init__(self) -> None:
        self.updates: list[LevelUpdated] = []

    def history(self, version: int, run_id: str, before: tuple[int, int] | None = None) -> LevelHistory:
        own = [each for each in self.updates if (each.version, each.run_id) == (version, run_id)]
        return history_of(
            takewhile(lambda each: before is None or not each.epoch or (each.epoch, each.number or 0) < before, own)
        )


class MemoryEvaluations:
    """`EvaluationRepository` in a dict."""

    def __init__(self) -> None:
        self.rows: dict[int, list[Measures]] = {}

    def replace(self, version: int, measures: Sequence[Measures]) -> None:
        self.rows[version] = list(measures)


class MemoryLease:
    """`LeaseRepository`. `clock` is the database's."""

    def __init__(self) -> None:
        self.clock = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        self.row: LeaseRow | None = None

    def now(self) -> datetime:
        return self.clock

    def load(self) -> LeaseRow | None:
        return self.row

    def save(self, row: LeaseRow) -> None:
        self.row = row


class MemoryBatches:
    """`BatchCache` in a dict."""

    def __init__(self) -> None:
        self.batches: dict[str, CleanBatch] = {}

    def load(self, key: str) -> CleanBatch | None:
        return self.batches.get(key)

    def store(self, key: str, batch: CleanBatch) -> None:
        self.batches[key] = batch


class MemoryTrainerUnitOfWork(MemoryUnitOfWork):
    """`TrainerUnitOfWork` in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.manifests = MemoryManifests()
        self.trainings = MemoryTrainings()
        self.promotions = MemoryPromotions()
        self.evaluations = MemoryEvaluations()
        self.interval_levels = MemoryIntervalLevels()
        self.market_levels = MemoryMarketLevels()
        self.lease = MemoryLease()


class MemoryRuns:
    """`Runs` in a list."""

    def __init__(self) -> None:
        self.logged: list[LoggedRun] = []
        self.recipes: list[Recipe] = []
        self.measured: dict[str, list[Figure]] = {}
        """By run."""
        self.explanations: dict[str, str] = {}
        """What each run has: `due`, `done`, or why there is none."""
        self.preparations = 0
        self.prepared = False
        """Whether a process waits, or logs."""

    @property
    def requests(self) -> list[str]:
        """The request of each run."""
        return [recipe.request_id for recipe in self.recipes]

    def log(self, planned: Recipe, fitted: FittedModel) -> LoggedRun:
        self.recipes.append(planned)
        name = f"run-{len(self.logged) + 1}"
        run = LoggedRun(name, "model", "models:/native", "d" * 64, fitted.metrics, fitted.recipe, fitted.gates)
        self.logged.append(run)
        self.explanations[name] = "due"
        return self.logged[-1]

    def get(self, run_id: str) -> LoggedRun:
        return {run.run_id: run for run in self.logged}[run_id]

    def delete(self, run_id: str) -> None:
        """Delete a run, as a person may do in MLflow."""
        self.logged = [run for run in self.logged if run.run_id != run_id]

    def figures(self, run_id: str) -> list[Figure]:
        return self.measured.get(run_id, [])

    def find(self, planned: Recipe) -> LoggedRun | None:
        return self.logged[self.recipes.index(planned)] if planned in self.recipes else None

    def prepare_logging(self) -> None:
        self.preparations += 1
        self.prepared = True

    def stop_logging(self) -> None:
        self.prepared = False

    def end_open(self, planned: Recipe) -> None:
        """No run is open."""

    def to_explain(self) -> list[str]:
        return [run_id for run_id, explanation in self.explanations.items() if explanation == "due"]

    def download_sample(self, run_id: str, folder: Path) -> None:
        (folder / "sample.parquet").write_text(run_id)

    def log_explanation(self, run_id: str, folder: Path) -> None:
        self.explanations[run_id] = "done"

    def end_explanation(self, run_id: str, failure: str) -> None:
        self.explanations[run_id] = failure


def _training(row: TrainingRow) -> Training:
    return Training(
        request=TrainingRequest(**row["cause"]),
        state=row["state"],
        recipe=Recipe.model_validate(row["recipe"]),
        attempts=row["attempts"],
        fits=row.get("fits", 0),
        run_id=row.get("run_id", ""),
        version=row.get("version", 0),
        metrics=row.get("metrics", {}),
        profile=Profile.model_validate(row["profile"]) if "profile" in row else None,
    )
