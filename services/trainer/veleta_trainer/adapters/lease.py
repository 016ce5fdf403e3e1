"""The row of the lease in MySQL."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.tables import leases
from veleta_trainer.ports import LeaseRow

NAME = "trainer"


class MysqlLeaseRepository:
    """`LeaseRepository` as a row of PIPELINE.leases."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """See `LeaseRepository.now`."""
        now: datetime = self._connection.scalars(sa.select(sa.func.utc_timestamp(6))).one()
        return now

    def load(self) -> LeaseRow | None:
        """See `LeaseRepository.load`."""
        query = sa.select(leases.c.holder, leases.c.fence, leases.c.expires_at).where(leases.c.name == NAME)
        row = self._connection.execute(query.with_for_update()).first()
        return LeaseRow(*row) if row else None

    def save(self, row: LeaseRow) -> None:
        """See `LeaseRepository.save`."""
        values = {"holder": row.holder, "fence": row.fence, "expires_at": row.expires_at}
        self._connection.execute(insert(leases).values(name=NAME, **values).on_duplicate_key_update(**values))
