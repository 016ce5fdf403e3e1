"""The tables of a replay: those of drift in a database of their own, and their comparison with the live ones."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from veleta.adapters.mysql import MysqlTransactions, database_errors, mysql_engine
from veleta.dataset import Dataset
from veleta.errors import Stop
from veleta.settings import MysqlSettings
from veleta.tables import (
    batch_errors,
    checkpoints,
    dataset_tables,
    drift_metrics,
    drift_reports,
    drift_tests,
    drift_verdicts,
    histograms,
    manifests,
    market_levels,
    outbox,
    own_rows,
    retrain_verdicts,
    schemas,
)
from veleta.timeouts import SCHEMA_SECONDS
from veleta_drift.adapters.repositories import MysqlDriftUnitOfWork
from veleta_drift.domain.row_differences import Key, Row, row_differences
from veleta_drift.domain.verdict_change import BatchVerdict
from veleta_drift.ports import SERVICE
from veleta_drift.replayer import BatchKey

DATABASE = "REPLAY"
"""The name of the database, after the deployment's prefix."""
LOCK_HOURS = 24
"""A replay keeps its lock for this time, although the connection of the lock has nothing to do."""
PORTION = 100
"""Batches whose rows are compared together."""


class ScratchTables:
    """The database of a replay. Only one replay of a deployment runs at a time."""

    def __init__(self, settings: MysqlSettings, dataset: Dataset) -> None:
        """The login must be allowed to create databases."""
        comparison = dataset_tables(dataset).comparison
        self._compared = {
            "reports": drift_reports,
            "figures": drift_metrics,
            "comparisons": comparison,
            "verdicts": drift_verdicts,
            "tests": drift_tests,
            "errors": batch_errors,
            "histograms": histograms,
            "judged trainings": retrain_verdicts,
        }
        self._comparison, self._model = comparison, dataset.name
        self.name = f"{settings.prefix}{DATABASE}"
        self._live = mysql_engine(settings, SCHEMA_SECONDS, LOCK_HOURS * 3600)
        names = schemas(settings.prefix) | {"PIPELINE": self.name}
        self._engine = self._live.execution_options(schema_translate_map=names)
        self._lock: sa.Connection | None = None

    def create(self) -> None:
        """Create the tables, without rows. Those that a replay left behind are dropped.

        Raises:
            Retry: MySQL is unavailable.
            Stop: another replay of this deployment is running.
        """
        with database_errors():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if not connection.scalar(sa.select(sa.func.get_lock(self.name, 0))):
                connection.close()
                raise Stop("another replay of this deployment is running")
            self._lock = connection
            self._drop(connection)
            connection.exec_driver_sql(f"CREATE DATABASE `{self.name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            own = [own_rows(table, SERVICE) for table in (manifests, outbox, checkpoints)]
            for table in (*self._compared.values(), market_levels, *own):
                connection.execute(CreateTable(table))

    def close(self, *, keep: bool) -> None:
        """Drop the tables, unless they are kept for a look at them, and release the lock."""
        with database_errors():
            if self._lock and not keep:
                self._drop(self._lock)
        if self._lock:
            self._lock.close()
        self._live.dispose()

    def transactions(self) -> MysqlTransactions[MysqlDriftUnitOfWork]:
        """Transactions of drift in these tables."""
        unit_of_work = partial(MysqlDriftUnitOfWork, comparison=self._comparison, model=self._model)
        return MysqlTransactions(self._engine, unit_of_work)

    def compare(self, batches: Sequence[BatchKey], published: Collection[BatchKey]) -> tuple[dict[str, int], list[str]]:
        """How many rows each table has of these batches in the replay, and the differences to the live tables.

        The times of the assessments are not compared. A live report that was never `published` differs, unless it is
        newer than all others. Raises Retry.
        """
        counts = dict[str, int]()
        with database_errors(), self._live.connect() as live, self._engine.connect() as replayed:
            differences = [*_unpublished(live, published)]
            for title, table in self._compared.items():
                counts[title] = 0
                for portion in _portions(batches):
                    rows = _rows(replayed, table, portion)
                    counts[title] += len(rows)
                    differences += row_differences(table.name, _rows(live, table, portion), rows)
        return counts, differences

    def verdicts(self, batches: Sequence[BatchKey]) -> list[BatchVerdict]:
        """Both verdicts on each of these batches. Raises Retry."""
        found = list[BatchVerdict]()
        with database_errors(), self._live.connect() as live, self._engine.connect() as replayed:
            for portion in _portions(batches):
                before, after = (_rows(each, drift_reports, portion) for each in (live, replayed))
                found += [
                    BatchVerdict(key, str(before[key]["verdict"]), str(row["verdict"]), str(row["reason"]))
                    for key, row in after.items()
                    if key in before
                ]
        return found

    def _drop(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS `{self.name}`")


def _unpublished(connection: sa.Connection, published: Collection[BatchKey]) -> Iterator[str]:
    columns = drift_reports.c.epoch, drift_reports.c.number
    for epoch, number in connection.execute(sa.select(*columns).order_by(*columns)).tuples():
        if (epoch, number) not in published and (epoch, number) < max(published):
            yield f"{drift_reports.name} {epoch}/{number}: the topic has no such report"


def _portions(batches: Iterable[BatchKey]) -> Iterator[Sequence[BatchKey]]:
    """The batches in ascending order, some of one epoch together."""
    for _, group in groupby(sorted(batches), itemgetter(0)):
        of_epoch = list(group)
        yield from (of_epoch[start : start + PORTION] for start in range(0, len(of_epoch), PORTION))


def _rows(connection: sa.Connection, table: sa.Table, batches: Sequence[BatchKey]) -> dict[Key, Row]:
    """The rows of batches of one epoch by their key, without times."""
    columns = [column for column in table.columns if not isinstance(column.type, sa.DateTime)]
    (epoch, first), (_, last) = batches[0], batches[-1]
    query = sa.select(*columns).where(table.c.epoch == epoch, table.c.number.between(first, last))
    wanted, names = set(batches), [column.name for column in table.primary_key]
    rows = connection.execute(query.order_by(*table.primary_key)).mappings()
    return {tuple(row[name] for name in names): dict(row) for row in rows if (row["epoch"], row["number"]) in wanted}
