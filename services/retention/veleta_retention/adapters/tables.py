"""Retention's tables in MySQL."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.adapters.mysql import database_errors
from veleta.clock import for_sql
from veleta.tables import purges
from veleta_retention.domain.expiry import Purge

GROUP_ROWS = 1_000
"""Rows that one statement deletes: some 40 ms. The limit also makes the database choose the index."""


class MysqlTable:
    """`Table` through PyMySQL; `at` is the column of a row's time, in UTC."""

    def __init__(self, engine: sa.Engine, at: sa.Column[datetime]) -> None:
        self._engine = engine
        self._at = at
        self._table = at.table

    @property
    def name(self) -> str:
        """See `Table.name`."""
        return self._table.fullname

    def delete_older(self, than: datetime) -> int:
        """See `Table.delete_older`."""
        return self._delete_some(self._at < for_sql(than))

    def _delete_some(self, *where: sa.ColumnElement[bool]) -> int:
        some = sa.delete(self._table).where(*where).with_dialect_options(mysql_limit=GROUP_ROWS)
        with database_errors(), self._engine.begin() as sql:
            return sql.execute(some).rowcount


class MysqlRequests(MysqlTable):
    """`Requests`. A request's two names are looked up one by one: OR would not use their indexes everywhere."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        super().__init__(engine, table.c.received_at)
        self._names = (table.c.request_id, table.c.client_request_id)

    def delete_purged(self, purge: Purge) -> int:
        """See `Requests.delete_purged`."""
        return sum(self._delete_some(name == purge.name, self._at <= for_sql(purge.at)) for name in self._names)

    def purged(self) -> Sequence[Purge]:
        """See `Requests.purged`."""
        meant = (
            sa.select(purges).join(self._table, name == purges.c.name).where(self._at <= purges.c.purged_at)
            for name in self._names
        )
        with database_errors(), self._engine.connect() as sql:
            return [Purge(*row) for row in sql.execute(sa.union(*meant))]


class MysqlPurges(MysqlTable):
    """`Purges`."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine, purges.c.purged_at)

    def add(self, purge: Purge) -> None:
        """See `Purges.add`."""
        line = insert(purges).values(name=purge.name, purged_at=for_sql(purge.at))
        with database_errors(), self._engine.begin() as sql:
            sql.execute(line.on_duplicate_key_update(purged_at=for_sql(purge.at)))
