"""Reads from MySQL: batches with their verdicts, trainings with their decisions, and the stored predictions."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from veleta.dataset import Dataset
from veleta.tables import (
    batches,
    dataset_tables,
    drift_reports,
    drift_verdicts,
    market_levels,
    promotions,
    retrain_verdicts,
    trainings,
)
from veleta_monitor.adapters.rows import aware, read_rows
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.market import LevelUpdate
from veleta_monitor.domain.retrains import JudgedRetrain
from veleta_monitor.domain.stages import LastActivity
from veleta_monitor.domain.versions import Training

MAX_ROWS = 100
"""Rows of each table that the page shows."""


@dataclass(frozen=True)
class History:
    """The MAX_ROWS newest batches and trainings, newest first; the number of all batches; the loader's last batch.

    `retrains` are the MAX_ROWS newest judged trainings, and `retrain_counts` the numbers of all, by verdict. `levels`
    are the MAX_ROWS newest updates of the level of the market.
    """

    batches: list[Batch]
    batch_count: int
    trainings: list[Training]
    activities: Mapping[str, LastActivity] = field(default_factory=dict)
    retrains: Sequence[JudgedRetrain] = ()
    retrain_counts: Mapping[str, int] = field(default_factory=dict)
    levels: Sequence[LevelUpdate] = ()


@dataclass(frozen=True)
class RequestSummary:
    """The number of stored predictions, and the time of the last one. None where unknown."""

    count: int | None
    last_at: datetime | None


class MysqlReader:
    """Reads as the user `reader`. Every method blocks, and raises Retry if MySQL does not return the rows."""

    def __init__(self, engine: sa.Engine, dataset: Dataset) -> None:
        self._engine = engine
        self._dataset = dataset.name
        self._has_market = dataset.market is not None
        self._requests = dataset_tables(dataset).requests

    def read_history(self) -> History:
        """Read batches, trainings and decisions."""
        newest, verdicts = self._rows(_batches_query()), self._verdicts()
        count = self._rows(sa.select(sa.func.count().label("n")).select_from(batches))[0]["n"]
        retrains = [judged_retrain(row) for row in self._rows(_retrains_query())]
        effects = {each.version: each.summary for each in retrains}
        outcomes = [*self._rows(_decisions_query()), *self._rows(_undecided_query())]
        shown = sorted((_training(row, effects) for row in outcomes), key=_age_key, reverse=True)[:MAX_ROWS]
        found = [batch_of(row, verdicts[row["epoch"], row["number"]]) for row in newest]
        counts = {row["verdict"]: row["n"] for row in self._rows(_retrain_counts_query())}
        levels = [_level(row) for row in self._rows(_levels_query())] if self._has_market else []
        return History(found, count, shown, self._loader_activity(newest), retrains, counts, levels)

    def read_requests(self) -> RequestSummary:
        """Count the rows of RAW_DATA.new_<dataset>."""
        columns = sa.func.count().label("n"), sa.func.max(self._requests.c.answered_at).label("last")
        row = self._rows(sa.select(*columns).select_from(self._requests))[0]
        return RequestSummary(row["n"], aware(row["last"]))

    def _verdicts(self) -> Mapping[tuple[int, int], dict[str, str]]:
        """The verdicts of all policies on the newest batches, by epoch and number."""
        found: dict[tuple[int, int], dict[str, str]] = defaultdict(dict)
        for row in self._rows(_verdicts_query()):
            found[row["epoch"], row["number"]][row["policy"]] = row["verdict"]
        return found

    def _loader_activity(self, rows: list[Mapping[str, Any]]) -> dict[str, LastActivity]:
        loaded = [row for row in rows if row["loaded_at"]]
        if not loaded:
            return {}
        last = max(loaded, key=lambda row: row["loaded_at"])
        name = f"{self._dataset}/{last['epoch']}/{last['number']}"
        return {"loader": LastActivity("batch loaded", name, aware(last["loaded_at"]))}

    def _rows(self, query: sa.Executable) -> list[Mapping[str, Any]]:
        return read_rows(self._engine, query)


def _batches_query() -> sa.Executable:
    same = sa.and_(drift_reports.c.epoch == batches.c.epoch, drift_reports.c.number == batches.c.number)
    return (
        sa.select(
            batches,
            drift_reports.c.verdict,
            drift_reports.c.reason,
            drift_reports.c.findings,
            drift_reports.c.policy,
        )
        .select_from(batches.outerjoin(drift_reports, same))
        .order_by(batches.c.epoch.desc(), batches.c.number.desc())
        .limit(MAX_ROWS)
    )


def _verdicts_query() -> sa.Executable:
    newest = (
        sa.select(batches.c.epoch, batches.c.number)
        .order_by(batches.c.epoch.desc(), batches.c.number.desc())
        .limit(MAX_ROWS)
        .subquery()
    )
    same = sa.and_(drift_verdicts.c.epoch == newest.c.epoch, drift_verdicts.c.number == newest.c.number)
    return sa.select(drift_verdicts).select_from(drift_verdicts.join(newest, same))


def _retrains_query() -> sa.Executable:
    newest = retrain_verdicts.c.epoch.desc(), retrain_verdicts.c.number.desc()
    return sa.select(retrain_verdicts).order_by(*newest).limit(MAX_ROWS)


def _retrain_counts_query() -> sa.Executable:
    verdict = retrain_verdicts.c.verdict
    return sa.select(verdict, sa.func.count().label("n")).group_by(verdict)


def _decisions_query() -> sa.Executable:
    """Decisions, each with the training that led to it, if any."""
    return (
        sa.select(
            promotions.c.version,
            promotions.c.seq,
            promotions.c.reason,
            promotions.c.decision.label("outcome"),
            promotions.c.decided_at.label("at"),
            promotions.c.actor,
            trainings.c.metrics,
            trainings.c.cause,
        )
        .select_from(promotions.outerjoin(trainings, trainings.c.request_id == promotions.c.cause))
        .order_by(promotions.c.seq.desc())
        .limit(MAX_ROWS)
    )


def _undecided_query() -> sa.Executable:
    """Training requests without a decision, in the same columns."""
    return (
        sa.select(
            trainings.c.version,
            sa.null().label("seq"),
            trainings.c.failure.label("reason"),
            trainings.c.state.label("outcome"),
            sa.func.coalesce(trainings.c.ended_at, trainings.c.started_at, trainings.c.requested_at).label("at"),
            sa.null().label("actor"),
            trainings.c.metrics,
            trainings.c.cause,
        )
        .where(~sa.exists().where(promotions.c.cause == trainings.c.request_id))
        .order_by(trainings.c.requested_at.desc())
        .limit(MAX_ROWS)
    )


def _levels_query() -> sa.Executable:
    return sa.select(market_levels).order_by(market_levels.c.seq.desc()).limit(MAX_ROWS)


def batch_of(row: Mapping[str, Any], verdicts: Mapping[str, str]) -> Batch:
    """A batch from its row with its drift report. `verdicts` are those of all policies."""
    return Batch(
        epoch=row["epoch"],
        number=row["number"],
        state=row["state"] or "",
        received=row["received"],
        cleaned=row["cleaned"],
        rejected=row["rejected"] or {},
        finding="\n".join(filter(None, [row["finding"], row["findings"]])),
        verdict=row["verdict"] or "",
        reason=row["reason"] or "",
        updated_at=aware(row["loaded_at"] or row["closed_at"] or row["opened_at"]),
        policy=row["policy"] or "",
        verdicts=verdicts,
    )


def judged_retrain(row: Mapping[str, Any]) -> JudgedRetrain:
    """A judged training from its row."""
    return JudgedRetrain(
        version=row["version"],
        previous=row["previous"],
        batch=f"{row['epoch']}/{row['number']}",
        verdict=row["verdict"],
        change=row["relative_change"],
        judged_at=aware(row["judged_at"]),
        batches=row["measured_batches"],
    )


def _training(row: Mapping[str, Any], effects: Mapping[int, str]) -> Training:
    """`effects` has whether versions helped. Only a promotion can."""
    request = row["cause"] or {}
    return Training(
        outcome=row["outcome"],
        version=row["version"],
        seq=row["seq"],
        metrics=row["metrics"] or {},
        reason=row["reason"] or "",
        request_reason=request.get("reason", ""),
        batch=f"{request['epoch']}/{request['number']}" if request else "",
        updated_at=aware(row["at"]),
        actor=row["actor"] or "",
        effect=effects.get(row["version"], "") if row["outcome"] == "promoted" else "",
    )


def _level(row: Mapping[str, Any]) -> LevelUpdate:
    return LevelUpdate(
        seq=row["seq"],
        version=row["version"],
        period=row["period"],
        factor=math.exp(row["value"]),
        error=row["error"],
        rows=row["measured_rows"],
        outcome=row["outcome"],
        reason=row["reason"],
        actor=row["actor"] or "",
        updated_at=aware(row["updated_at"]),
    )


def _age_key(training: Training) -> tuple[float, int]:
    return training.updated_at.timestamp() if training.updated_at else 0.0, training.seq or 0
