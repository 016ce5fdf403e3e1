"""Reads from MySQL: batches with their verdicts, trainings with their decisions, and the stored predictions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from veleta.dataset import Dataset
from veleta.errors import Retry
from veleta.tables import batches, dataset_tables, drift_reports, promotions, trainings
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.stages import LastActivity
from veleta_monitor.domain.versions import Training

MAX_ROWS = 100
"""Rows of each table that the page shows."""


@dataclass(frozen=True)
class History:
    """The MAX_ROWS newest batches and trainings, newest first; the number of all batches; the loader's last batch."""

    batches: list[Batch]
    batch_count: int
    trainings: list[Training]
    activities: Mapping[str, LastActivity] = field(default_factory=dict)


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
        self._requests = dataset_tables(dataset).requests

    def read_history(self) -> History:
        """Read batches, trainings and decisions."""
        newest = self._rows(_batches_query())
        count = self._rows(sa.select(sa.func.count().label("n")).select_from(batches))[0]["n"]
        outcomes = [*self._rows(_decisions_query()), *self._rows(_undecided_query())]
        shown = sorted((_training(row) for row in outcomes), key=_age_key, reverse=True)[:MAX_ROWS]
        return History([_batch(row) for row in newest], count, shown, self._loader_activity(newest))

    def read_requests(self) -> RequestSummary:
        """Count the rows of RAW_DATA.new_<dataset>."""
        columns = sa.func.count().label("n"), sa.func.max(self._requests.c.answered_at).label("last")
        row = self._rows(sa.select(*columns).select_from(self._requests))[0]
        return RequestSummary(row["n"], _aware(row["last"]))

    def _loader_activity(self, rows: list[Mapping[str, Any]]) -> dict[str, LastActivity]:
        loaded = [row for row in rows if row["loaded_at"]]
        if not loaded:
            return {}
        last = max(loaded, key=lambda row: row["loaded_at"])
        name = f"{self._dataset}/{last['epoch']}/{last['number']}"
        return {"loader": LastActivity("batch loaded", name, _aware(last["loaded_at"]))}

    def _rows(self, query: sa.Executable) -> list[Mapping[str, Any]]:
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query).mappings()]
        except (DBAPIError, OSError, EOFError) as error:
            raise Retry("mysql", _driver_message(error)) from error


def _batches_query() -> sa.Executable:
    same = sa.and_(drift_reports.c.epoch == batches.c.epoch, drift_reports.c.number == batches.c.number)
    return (
        sa.select(batches, drift_reports.c.verdict, drift_reports.c.reason, drift_reports.c.findings)
        .select_from(batches.outerjoin(drift_reports, same))
        .order_by(batches.c.epoch.desc(), batches.c.number.desc())
        .limit(MAX_ROWS)
    )


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


def _batch(row: Mapping[str, Any]) -> Batch:
    return Batch(
        epoch=row["epoch"],
        number=row["number"],
        state=row["state"],
        received=row["received"],
        cleaned=row["cleaned"],
        rejected=row["rejected"] or {},
        finding="\n".join(filter(None, [row["finding"], row["findings"]])),
        verdict=row["verdict"] or "",
        reason=row["reason"] or "",
        updated_at=_aware(row["loaded_at"] or row["closed_at"] or row["opened_at"]),
    )


def _training(row: Mapping[str, Any]) -> Training:
    request = row["cause"] or {}
    return Training(
        outcome=row["outcome"],
        version=row["version"],
        seq=row["seq"],
        metrics=row["metrics"] or {},
        reason=row["reason"] or "",
        request_reason=request.get("reason", ""),
        batch=f"{request['epoch']}/{request['number']}" if request else "",
        updated_at=_aware(row["at"]),
        actor=row["actor"] or "",
    )


def _age_key(training: Training) -> tuple[float, int]:
    return training.updated_at.timestamp() if training.updated_at else 0.0, training.seq or 0


def _driver_message(error: Exception) -> str:
    """The message of MySQL or of its driver, without the text that SQLAlchemy adds."""
    args = (getattr(error, "orig", None) or error).args
    return str(args[-1]) if args else type(error).__name__


def _aware(at: datetime | None) -> datetime | None:
    """DATETIME has no time zone; all times are UTC."""
    return at.replace(tzinfo=UTC) if at else None
