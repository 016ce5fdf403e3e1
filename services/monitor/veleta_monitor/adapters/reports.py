"""Reads drift reports from MySQL."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from veleta.events.catalogue import DriftTest, Histogram, HistogramBin, Statistic, VersionErrors
from veleta.tables import (
    batch_errors,
    batches,
    drift_metrics,
    drift_reports,
    drift_tests,
    drift_verdicts,
    histograms,
    promotions,
    retrain_verdicts,
    trainings,
)
from veleta_monitor.adapters.database import batch_of, judged_retrain
from veleta_monitor.adapters.rows import aware, read_rows
from veleta_monitor.domain.drift_report import DriftReport, PolicyResult
from veleta_monitor.domain.retrains import JudgedRetrain
from veleta_monitor.domain.versions import Training

Rows = list[Mapping[str, Any]]


class ReportReader:
    """Reads as the user `reader`. Both methods block, and raise Retry if MySQL does not return the rows."""

    def __init__(self, engine: sa.Engine, dataset: str) -> None:
        self._engine = engine
        self._dataset = dataset

    def read(self, epoch: int, number: int) -> DriftReport | None:
        """The report on a batch, with all its parts. None if drift has not reported on it."""
        if not (found := read_rows(self._engine, _report_query(epoch, number))):
            return None
        (row,) = found
        metrics = self._parts(drift_metrics, epoch, number, drift_metrics.c.column_name, drift_metrics.c.statistic)
        training = self._training(epoch, number)
        return DriftReport(
            batch=batch_of(row, {}),
            assessed_at=aware(row["assessed_at"]),
            closed_at=aware(row["closed_at"]),
            previous=row["previous"],
            champion=row["champion"],
            policies=[_policy(each) for each in self._parts(drift_verdicts, epoch, number)],
            tests=[_test(each) for each in self._parts(drift_tests, epoch, number, drift_tests.c.position)],
            statistics=[_statistic(each, row["previous"]) for each in metrics],
            threshold=metrics[0]["threshold"] if metrics else 0.0,
            histograms=_histograms(self._parts(histograms, epoch, number, histograms.c.position)),
            importance=row["importance"] or {},
            saved=self._saved(epoch, number),
            errors=[_errors(each) for each in self._parts(batch_errors, epoch, number)],
            judged=self._judged(retrain_verdicts.c.epoch == epoch, retrain_verdicts.c.number == number),
            training=training,
            training_effect=self._judged(retrain_verdicts.c.version == training.version) if training else None,
        )

    def newest(self) -> str:
        """Epoch and number of the newest report, as `2/3`. Empty before the first."""
        key = drift_reports.c.epoch, drift_reports.c.number
        rows = read_rows(self._engine, sa.select(*key).order_by(*(column.desc() for column in key)).limit(1))
        return f"{rows[0]['epoch']}/{rows[0]['number']}" if rows else ""

    def _parts(self, table: sa.Table, epoch: int, number: int, *order: sa.Column[Any]) -> Rows:
        query = sa.select(table).where(table.c.epoch == epoch, table.c.number == number)
        return read_rows(self._engine, query.order_by(*order))

    def _saved(self, epoch: int, number: int) -> int:
        """How many batches up to this one requested no training only because their columns have weights."""
        table = drift_verdicts.c
        earlier = sa.tuple_(table.epoch, table.number) <= sa.tuple_(sa.literal(epoch), sa.literal(number))
        saved = sa.select(sa.func.count().label("n")).where(table.unweighted == "drift", table.verdict != "drift")
        return int(read_rows(self._engine, saved.where(earlier))[0]["n"])

    def _judged(self, *conditions: sa.ColumnElement[bool]) -> JudgedRetrain | None:
        rows = read_rows(self._engine, sa.select(retrain_verdicts).where(*conditions).limit(1))
        return judged_retrain(rows[0]) if rows else None

    def _training(self, epoch: int, number: int) -> Training | None:
        """The training that a batch requested, with the decision on its version."""
        rows = read_rows(self._engine, _training_query(f"{self._dataset}/{epoch}/{number}/retrain"))
        return Training(rows[0]["outcome"], rows[0]["version"], reason=rows[0]["reason"] or "") if rows else None


def _report_query(epoch: int, number: int) -> sa.Executable:
    same = sa.and_(drift_reports.c.epoch == batches.c.epoch, drift_reports.c.number == batches.c.number)
    other = [column for column in batches.c if column.name not in ("epoch", "number")]
    return (
        sa.select(drift_reports, *other)
        .select_from(drift_reports.outerjoin(batches, same))
        .where(drift_reports.c.epoch == epoch, drift_reports.c.number == number)
    )


def _training_query(request_id: str) -> sa.Executable:
    return (
        sa.select(
            trainings.c.version,
            sa.func.coalesce(promotions.c.decision, trainings.c.state).label("outcome"),
            sa.func.coalesce(promotions.c.reason, trainings.c.failure).label("reason"),
        )
        .select_from(trainings.outerjoin(promotions, promotions.c.cause == trainings.c.request_id))
        .where(trainings.c.request_id == request_id)
    )


def _policy(row: Mapping[str, Any]) -> PolicyResult:
    return PolicyResult(row["policy"], row["verdict"], row["reason"], row["unweighted"] or "")


def _test(row: Mapping[str, Any]) -> DriftTest:
    return DriftTest(
        reference=row["reference"],
        arm=row["arm"],
        subject=row["subject"],
        test=row["test"],
        p_value=row["p_value"],
        effect=row["effect"],
        limit=row["effect_limit"],
        level=row["level"],
        fires=row["fires"],
        note=row["note"],
    )


def _statistic(row: Mapping[str, Any], previous: int | None) -> Statistic:
    """`previous` is that of the report: only an earlier batch is named."""
    return Statistic(
        column=row["column_name"],
        statistic=row["statistic"],
        old=row["old_value"],
        new=row["new_value"],
        change=row["relative_change"],
        exceeds=row["verdict"] == "drift",
        note=row["note"],
        previous=None if row["previous"] == previous else row["previous"],
    )


def _histograms(rows: Rows) -> list[Histogram]:
    """One histogram for each column, from its bins in their order."""
    bins = dict[str, list[HistogramBin]]()
    references = {}
    for row in rows:
        references[row["column_name"]] = row["reference"]
        bins.setdefault(row["column_name"], []).append(
            HistogramBin(
                lower=row["lower_bound"],
                upper=row["upper_bound"],
                category=row["category"],
                share=row["share"],
                reference_share=row["reference_share"],
            )
        )
    return [Histogram(column=name, reference=references[name], bins=found) for name, found in bins.items()]


def _errors(row: Mapping[str, Any]) -> VersionErrors:
    return VersionErrors(version=row["version"], rows=row["measured_rows"], mae=row["mae"], bias=row["bias"])
