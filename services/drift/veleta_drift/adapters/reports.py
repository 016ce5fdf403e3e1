"""Drift's tables in MySQL."""

from datetime import datetime

import sqlalchemy as sa

from veleta.adapters.mysql import MysqlUnitOfWork
from veleta.clock import for_sql
from veleta.events.catalogue import DriftAssessed
from veleta.tables import drift_metrics, drift_reports
from veleta_drift.handlers import SERVICE


class MysqlReports:
    """`Reports` on one connection."""

    def __init__(self, connection: sa.Connection, comparison: sa.Table) -> None:
        self._sql = connection
        self._comparison = comparison

    def known(self, epoch: int, number: int) -> bool:
        """See `Reports.known`."""
        query = sa.select(drift_reports.c.verdict).where(
            drift_reports.c.epoch == epoch, drift_reports.c.number == number
        )
        return self._sql.scalar(query) is not None

    def judged(self) -> set[tuple[int, int]]:
        """See `Reports.judged`."""
        places = self._sql.execute(sa.select(drift_reports.c.epoch, drift_reports.c.number))
        return {(epoch, number) for epoch, number in places}

    def keep(self, assessed: DriftAssessed, at: datetime) -> None:
        """See `Reports.keep`."""
        key = {"epoch": assessed.epoch, "number": assessed.number}
        time = for_sql(at)
        self._sql.execute(
            sa.insert(drift_reports).values(
                **key,
                previous=assessed.previous,
                verdict=assessed.verdict,
                reason=assessed.reason,
                policy=assessed.policy,
                assessed_at=time,
            )
        )
        if assessed.previous is None:
            return
        self._sql.execute(sa.insert(drift_metrics), [key | line for line in _metrics(assessed)])
        self._sql.execute(
            sa.insert(self._comparison).values(
                **key,
                previous=assessed.previous,
                compared_at=time,
                **{f"{f.column}_{f.statistic}": f.change for f in assessed.figures},
                retrain=int(assessed.verdict == "drift"),
            )
        )


class MysqlDriftUnitOfWork(MysqlUnitOfWork):
    """`DriftUnitOfWork` on one connection."""

    def __init__(self, connection: sa.Connection, comparison: sa.Table) -> None:
        super().__init__(connection, SERVICE)
        self.reports = MysqlReports(connection, comparison)


def _metrics(assessed: DriftAssessed) -> list[dict[str, object]]:
    return [
        {
            "column_name": f.column,
            "statistic": f.statistic,
            "old_value": f.old,
            "new_value": f.new,
            "relative_change": f.change,
            "threshold": assessed.threshold,
            "verdict": "drift" if f.exceeds else "not enough data" if f.change is None else "no drift",
            "note": f.note,
        }
        for f in assessed.figures
    ]
