"""Retention's tables in MySQL."""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.adapters.mysql import database_errors
from veleta.clock import for_sql
from veleta.tables import limits, purges, sweeps
from veleta_retention.domain.expiry import Purge
from veleta_retention.domain.trusted_time import TrustedTime

DELETE_ROWS = 1_000
"""Maximum rows of one DELETE, which take some 40 ms. The limit also makes the database use the index."""


def stored_limits(engine: sa.Engine) -> dict[str, int]:
    """The limits that `veleta_prepare` stored, by the name of the setting. Raises Retry."""
    with database_errors(), engine.connect() as connection:
        return {row.name: int(row.value) for row in connection.execute(sa.select(limits))}


class MysqlTable:
    """`Table` through PyMySQL. `time` is the column with a row's time, in UTC."""

    def __init__(self, engine: sa.Engine, time: sa.Column[datetime]) -> None:
        self._engine = engine
        self._time = time
        self._table = time.table

    @property
    def name(self) -> str:
        return self._table.fullname

    def delete_before(self, cutoff: datetime) -> int:
        return self._delete_some(self._time < for_sql(cutoff))

    def _delete_some(self, *where: sa.ColumnElement[bool]) -> int:
        delete = sa.delete(self._table).where(*where).with_dialect_options(mysql_limit=DELETE_ROWS)
        with database_errors(), self._engine.begin() as connection:
            return connection.execute(delete).rowcount


class MysqlRequestTable(MysqlTable):
    """Deletes requests: `RequestTable`. Queries the two ids one by one: not every database uses both indexes for OR."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        super().__init__(engine, table.c.received_at)
        self._ids = (table.c.request_id, table.c.client_request_id)

    def delete_purged(self, purge: Purge) -> int:
        until = self._time <= for_sql(purge.at)
        return sum(self._delete_some(request_id == purge.name, until) for request_id in self._ids)

    def pending_purges(self) -> Sequence[Purge]:
        queries = (
            sa.select(purges).join(self._table, request_id == purges.c.name).where(self._time <= purges.c.purged_at)
            for request_id in self._ids
        )
        with database_errors(), self._engine.connect() as connection:
            return [Purge(*row) for row in connection.execute(sa.union(*queries))]


class MysqlPurgeTable(MysqlTable):
    """Stores purges: `PurgeTable`."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine, purges.c.purged_at)

    def save(self, purge: Purge) -> None:
        row = insert(purges).values(name=purge.name, purged_at=for_sql(purge.at))
        with database_errors(), self._engine.begin() as connection:
            connection.execute(row.on_duplicate_key_update(purged_at=for_sql(purge.at)))


class MysqlTimeTable:
    """Stores the trusted time: `TimeTable`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def load(self) -> TrustedTime | None:
        columns = sa.select(sweeps.c.trusted_at, sweeps.c.doubted_since)
        with database_errors(), self._engine.connect() as connection:
            row = connection.execute(columns).one_or_none()
        return row and TrustedTime(*(at and at.replace(tzinfo=UTC) for at in row))

    def save(self, time: TrustedTime) -> None:
        doubted = time.doubted_since and for_sql(time.doubted_since)
        values = {"trusted_at": for_sql(time.at), "doubted_since": doubted}
        row = insert(sweeps).values(name="retention", **values)
        with database_errors(), self._engine.begin() as connection:
            connection.execute(row.on_duplicate_key_update(**values))
