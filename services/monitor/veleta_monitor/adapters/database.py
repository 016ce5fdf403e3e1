"""What MySQL knows: batches and verdicts, trainings and decisions, requests answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from veleta.adapters.mysql import database_errors
from veleta.dataset import Dataset
from veleta.errors import Retry
from veleta.tables import batches, dataset_tables, drift_reports, promotions, trainings
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.stages import Deed
from veleta_monitor.domain.versions import Training

SHOWN = 100
"""Rows of each history that the page shows."""


@dataclass(frozen=True)
class History:
    """The newest SHOWN lines of each history, newest first, how many batches there are, and what was done last."""

    batches: list[Batch]
    batch_count: int
    trainings: list[Training]
    deeds: Mapping[str, Deed] = field(default_factory=dict)


@dataclass(frozen=True)
class Requests:
    """How many predictions were answered and kept, and when the last one was; None where nobody knows."""

    answered: int | None
    last_at: datetime | None


class MysqlReader:
    """Reads as the user `reader`. Every method blocks and raises Retry when MySQL does not give what is asked for."""

    def __init__(self, engine: sa.Engine, dataset: Dataset) -> None:
        self._engine = engine
        self._dataset = dataset.name
        self._kept = dataset_tables(dataset).requests

    def history(self) -> History:
        """Batches, trainings and decisions."""
        lines = self._rows(_batches())
        shown = [_batch(line) for line in lines]
        count = self._rows(sa.select(sa.func.count().label("n")).select_from(batches))[0]["n"]
        decided = [*self._rows(_decided()), *self._rows(_undecided())]
        ended = sorted((_training(line) for line in decided), key=_newest, reverse=True)[:SHOWN]
        loaded = [line for line in lines if line["loaded_at"]]
        return History(shown, count, ended, self._loaded(max(loaded, key=lambda line: line["loaded_at"], default=None)))

    def requests(self) -> Requests:
        """Predictions answered, by the rows of RAW_DATA.new_<dataset>."""
        kept = self._kept
        figures = sa.func.count().label("answered"), sa.func.max(kept.c.answered_at).label("last")
        found = self._rows(sa.select(*figures).select_from(kept))[0]
        return Requests(found["answered"], _aware(found["last"]))

    def _loaded(self, line: Mapping[str, Any] | None) -> dict[str, Deed]:
        if line is None:
            return {}
        name = f"{self._dataset}/{line['epoch']}/{line['number']}"
        return {"loader": Deed("batch loaded", name, _aware(line["loaded_at"]))}

    def _rows(self, query: sa.Executable) -> list[Mapping[str, Any]]:
        try:
            with database_errors(), self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query).mappings()]
        except Retry as error:
            raise Retry(error.dependency, _said(error.__cause__) or error) from error
        except DBAPIError as error:
            raise Retry("mysql", _said(error)) from error


def _batches() -> sa.Executable:
    same = sa.and_(drift_reports.c.epoch == batches.c.epoch, drift_reports.c.number == batches.c.number)
    return (
        sa.select(batches, drift_reports.c.verdict, drift_reports.c.reason)
        .select_from(batches.outerjoin(drift_reports, same))
        .order_by(batches.c.epoch.desc(), batches.c.number.desc())
        .limit(SHOWN)
    )


def _decided() -> sa.Executable:
    """Decisions, each with the training that led to it, if one did."""
    asked = trainings.c.request_id == promotions.c.cause
    return (
        sa.select(
            promotions.c.version,
            promotions.c.seq,
            promotions.c.reason,
            promotions.c.decision.label("outcome"),
            promotions.c.decided_at.label("at"),
            trainings.c.metrics,
            trainings.c.cause,
        )
        .select_from(promotions.outerjoin(trainings, asked))
        .order_by(promotions.c.seq.desc())
        .limit(SHOWN)
    )


def _undecided() -> sa.Executable:
    """Requests to train that led to no decision, or not yet to one, in the same columns."""
    return (
        sa.select(
            trainings.c.version,
            sa.null().label("seq"),
            trainings.c.failure.label("reason"),
            trainings.c.state.label("outcome"),
            sa.func.coalesce(trainings.c.ended_at, trainings.c.started_at, trainings.c.requested_at).label("at"),
            trainings.c.metrics,
            trainings.c.cause,
        )
        .where(~sa.exists().where(promotions.c.cause == trainings.c.request_id))
        .order_by(trainings.c.requested_at.desc())
        .limit(SHOWN)
    )


def _batch(line: Mapping[str, Any]) -> Batch:
    return Batch(
        epoch=line["epoch"],
        number=line["number"],
        state=line["state"],
        received=line["received"],
        cleaned=line["cleaned"],
        rejected=line["rejected"] or {},
        finding=line["finding"] or "",
        verdict=line["verdict"] or "",
        reason=line["reason"] or "",
        at=_aware(line["loaded_at"] or line["closed_at"] or line["opened_at"]),
    )


def _training(line: Mapping[str, Any]) -> Training:
    request = line["cause"] or {}
    return Training(
        outcome=line["outcome"],
        version=line["version"],
        seq=line["seq"],
        metrics=line["metrics"] or {},
        why=line["reason"] or "",
        asked=request.get("reason", ""),
        batch=f"{request['epoch']}/{request['number']}" if request else "",
        at=_aware(line["at"]),
    )


def _newest(training: Training) -> tuple[float, int]:
    return training.at.timestamp() if training.at else 0.0, training.seq or 0


def _said(error: BaseException | None) -> str:
    """What the server said, without SQLAlchemy's words around it."""
    original = getattr(error, "orig", None)
    return str(original.args[-1]) if original is not None and original.args else ""


def _aware(at: datetime | None) -> datetime | None:
    """DATETIME has no time zone; all times are UTC."""
    return at.replace(tzinfo=UTC) if at else None
