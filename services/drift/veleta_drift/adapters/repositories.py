"""Drift's repository in MySQL."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import IntegrityError

from veleta.adapters.level_rows import level_row, level_updated
from veleta.adapters.manifests import MysqlManifests
from veleta.adapters.mysql import MysqlUnitOfWork
from veleta.clock import for_sql
from veleta.errors import Retry
from veleta.events.catalogue import (
    Baseline,
    DriftAssessed,
    Growth,
    Histogram,
    LevelUpdated,
    PairErrors,
    RetrainJudged,
    RiskState,
)
from veleta.tables import (
    MAX_FINDINGS_LENGTH,
    batch_errors,
    drift_metrics,
    drift_reports,
    drift_tests,
    drift_verdicts,
    histograms,
    market_levels,
    retrain_verdicts,
)
from veleta_drift.ports import SERVICE

KEPT_HISTOGRAMS = 1_000
"""The batches with histograms in MySQL, the newest ones: some 30 KB each. The events have all."""


class MysqlReports:
    """Stores drift reports: `ReportRepository` on one connection."""

    def __init__(self, connection: sa.Connection, comparison: sa.Table) -> None:
        self._connection = connection
        self._comparison = comparison

    def exists(self, epoch: int, number: int) -> bool:
        query = sa.select(drift_reports.c.verdict).where(
            drift_reports.c.epoch == epoch, drift_reports.c.number == number
        )
        return self._connection.scalar(query) is not None

    def baseline(self, epoch: int, number: int) -> Baseline | None:
        query = sa.select(drift_reports.c.baseline).where(
            drift_reports.c.epoch == epoch, drift_reports.c.number < number
        )
        document = self._connection.scalar(query.order_by(drift_reports.c.number.desc()).limit(1))
        return Baseline.model_validate(document) if document else None

    def risk(self, epoch: int, number: int, version: int) -> RiskState | None:
        document = self._last(drift_reports.c.risk, epoch, number)
        state = RiskState.model_validate(document) if document else None
        return state if state and state.version == version else None

    def pair(self, epoch: int, number: int, version: int, previous: int) -> PairErrors | None:
        document = self._last(drift_reports.c.pair, epoch, number)
        state = PairErrors.model_validate(document) if document else None
        return state if state and (state.version, state.previous) == (version, previous) else None

    def growth(self, epoch: int, number: int, version: int) -> Growth | None:
        is_own = drift_reports.c.growth["version"].as_integer() == version
        document = self._last(drift_reports.c.growth, epoch, number, is_own)
        return Growth.model_validate(document) if document else None

    def set_growth(self, epoch: int, number: int, growth: Growth) -> None:
        place = drift_reports.c.epoch == epoch, drift_reports.c.number == number
        self._connection.execute(sa.update(drift_reports).where(*place).values(growth=growth.model_dump()))

    def insert(self, report: DriftAssessed, at: datetime) -> None:
        key = {"epoch": report.epoch, "number": report.number}
        time = for_sql(at)
        self._connection.execute(
            sa.insert(drift_reports).values(
                **key,
                previous=report.previous,
                verdict=report.verdict,
                reason=report.reason,
                policy=report.policy,
                assessed_at=time,
                findings="\n".join(report.findings)[:MAX_FINDINGS_LENGTH] or None,
                baseline=report.baseline and report.baseline.model_dump(mode="json"),
                champion=report.champion,
                risk=report.risk and report.risk.model_dump(mode="json"),
                importance=report.importance or None,
                pair=report.pair and report.pair.model_dump(mode="json"),
                growth=report.growth and report.growth.model_dump(mode="json"),
            )
        )
        self._delete_old_histograms()
        for table, rows in _parts(report).items():
            if rows:
                self._connection.execute(sa.insert(table), [key | row for row in rows])
        if report.previous is None:
            return
        if metrics := [key | metric for metric in _metrics(report)]:
            self._connection.execute(sa.insert(drift_metrics), metrics)
        changes = {f"{each.column}_{each.statistic}": each.change for each in report.figures}
        # A restored report may have columns that the current dataset file no longer has.
        changes = {name: change for name, change in changes.items() if name in self._comparison.c}
        comparison = {"previous": report.previous, "compared_at": time, "retrain": int(report.verdict == "drift")}
        self._connection.execute(sa.insert(self._comparison).values(**key, **comparison, **changes))

    def _last(
        self, column: sa.Column[Any], epoch: int, number: int, condition: sa.ColumnElement[bool] | None = None
    ) -> Any:
        """The last value of a column in the reports before a batch, of those that meet a condition."""
        earlier = (drift_reports.c.epoch < epoch) | (
            (drift_reports.c.epoch == epoch) & (drift_reports.c.number < number)
        )
        query = sa.select(column).where(
            earlier, column.is_not(sa.null()), sa.true() if condition is None else condition
        )
        return self._connection.scalar(
            query.order_by(drift_reports.c.epoch.desc(), drift_reports.c.number.desc()).limit(1)
        )

    def _delete_old_histograms(self) -> None:
        """Delete those of the batch that is no longer among the newest, and of all before it."""
        reports = sa.select(drift_reports.c.epoch, drift_reports.c.number)
        newest = reports.order_by(drift_reports.c.epoch.desc(), drift_reports.c.number.desc())
        if last := self._connection.execute(newest.limit(1).offset(KEPT_HISTOGRAMS)).first():
            columns = histograms.c
            same = sa.and_(columns.epoch == last.epoch, columns.number <= last.number)
            self._connection.execute(sa.delete(histograms).where(sa.or_(columns.epoch < last.epoch, same)))


class MysqlRetrainVerdicts:
    """`RetrainVerdictRepository` on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def exists(self, version: int) -> bool:
        query = sa.select(retrain_verdicts.c.verdict).where(retrain_verdicts.c.version == version)
        return self._connection.scalar(query.limit(1)) is not None

    def counts(self) -> Mapping[str, int]:
        verdict = retrain_verdicts.c.verdict
        rows = self._connection.execute(sa.select(verdict, sa.func.count()).group_by(verdict))
        return {row[0]: row[1] for row in rows}

    def insert(self, judged: RetrainJudged, at: datetime) -> None:
        row = judged.model_dump(exclude={"dataset", "rows", "batches", "change"})
        counts = {"measured_rows": judged.rows, "measured_batches": judged.batches}
        figures = {**counts, "relative_change": judged.change, "judged_at": for_sql(at)}
        self._connection.execute(sa.insert(retrain_verdicts).prefix_with("IGNORE").values(**row, **figures))


class MysqlLevels:
    """`LevelRepository` on one connection. `model` is the name of the registered model, which the table leaves out."""

    def __init__(self, connection: sa.Connection, model: str) -> None:
        self._connection = connection
        self._model = model

    def last(self, version: int, run_id: str) -> LevelUpdated | None:
        found = self._newest(_of_version(version, run_id), 1)
        return found[0] if found else None

    def of_batches(self, version: int, run_id: str, epoch: int, number: int, limit: int) -> list[LevelUpdated]:
        columns = market_levels.c
        until = sa.or_(columns.epoch < epoch, sa.and_(columns.epoch == epoch, columns.number <= number))
        return self._newest(sa.and_(_of_version(version, run_id), until), limit)

    def exists(self, version: int, run_id: str, cause: str) -> bool:
        return bool(self._newest(sa.and_(_of_version(version, run_id), market_levels.c.cause == cause), 1))

    def has_digest(self, version: int, run_id: str, digest: str) -> bool:
        return bool(self._newest(sa.and_(_of_version(version, run_id), market_levels.c.digest == digest), 1))

    def last_seq(self) -> int:
        return int(self._connection.scalar(sa.select(sa.func.max(market_levels.c.seq))) or 0)

    def insert(self, update: LevelUpdated, at: datetime) -> None:
        try:
            self._connection.execute(sa.insert(market_levels).values(**level_row(update, at)))
        except IntegrityError as error:
            raise Retry("mysql", f"another worker stored update {update.seq} of the level") from error

    def restore(self, update: LevelUpdated, at: datetime) -> None:
        statement = insert(market_levels).values(**level_row(update, at))
        self._connection.execute(statement.on_duplicate_key_update(seq=market_levels.c.seq))

    def _newest(self, condition: sa.ColumnElement[bool], limit: int) -> list[LevelUpdated]:
        query = sa.select(market_levels).where(condition).order_by(market_levels.c.seq.desc()).limit(limit)
        rows = self._connection.execute(query).mappings().all()
        return [level_updated(self._model, row) for row in reversed(rows)]


class MysqlDriftUnitOfWork(MysqlUnitOfWork):
    """`DriftUnitOfWork` on one connection."""

    def __init__(self, connection: sa.Connection, comparison: sa.Table, model: str) -> None:
        super().__init__(connection, SERVICE)
        self.levels = MysqlLevels(connection, model)
        self.manifests = MysqlManifests(connection, SERVICE)
        self.reports = MysqlReports(connection, comparison)
        self.retrain_verdicts = MysqlRetrainVerdicts(connection)


def _metrics(report: DriftAssessed) -> list[dict[str, object]]:
    return [
        {
            "column_name": each.column,
            "statistic": each.statistic,
            "old_value": each.old,
            "new_value": each.new,
            "relative_change": each.change,
            "threshold": report.threshold,
            "verdict": "drift" if each.exceeds else "not enough data" if each.change is None else "no drift",
            "note": each.note,
            "previous": report.previous if each.previous is None else each.previous,
        }
        for each in report.figures
    ]


def _parts(report: DriftAssessed) -> dict[sa.Table, list[dict[str, object]]]:
    """The rows of each table with a part of a report, without its key."""
    tests = [each.model_dump(exclude={"limit"}) for each in report.tests]
    limits = [{"position": position, "effect_limit": each.limit} for position, each in enumerate(report.tests)]
    return {
        drift_verdicts: [each.model_dump() for each in report.verdicts],
        drift_tests: [{"note": ""} | test | limit for test, limit in zip(tests, limits, strict=True)],
        batch_errors: [
            {"version": each.version, "measured_rows": each.rows, "mae": each.mae, "bias": each.bias}
            for each in report.errors
        ],
        histograms: [row for each in report.histograms for row in _bins(each)],
    }


def _bins(histogram: Histogram) -> Iterator[dict[str, object]]:
    for position, each in enumerate(histogram.bins):
        yield {
            "column_name": histogram.column,
            "position": position,
            "lower_bound": each.lower,
            "upper_bound": each.upper,
            "category": each.category,
            "share": each.share,
            "reference_share": each.reference_share,
            "reference": histogram.reference,
        }


def _of_version(version: int, run_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(market_levels.c.version == version, market_levels.c.run_id == run_id)
