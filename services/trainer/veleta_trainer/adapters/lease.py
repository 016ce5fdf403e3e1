"""The lease in MySQL, by the database's own clock."""

from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.errors import Lost, Retry
from veleta.ports import Work
from veleta.tables import leases

NAME = "trainer"


class MysqlLease:
    """`Lease` as a line of PIPELINE.leases.

    Its line also shows that the database lost its memory: a line of ours that is gone, or older than we saw it, is
    that of a database that was wiped or restored.
    """

    def __init__(self, seconds: float) -> None:
        self._holder = uuid4().hex
        self._lasts = timedelta(seconds=seconds)
        self._compared = False
        self._seen: datetime | None = None

    def hold(self, work: Work) -> None:
        """See `Lease.hold`."""
        now = work.sql.scalar(sa.select(sa.func.utc_timestamp(6)))
        line = work.sql.execute(sa.select(leases).where(leases.c.name == NAME).with_for_update()).first()
        ours = line is not None and line.holder == self._holder
        if self._seen and (line is None or (ours and line.expires_at < self._seen)):
            self._compared, self._seen = False, None
        if not self._compared:
            raise Lost("the tables are to be compared with the topics first")
        if line is not None and not ours and line.expires_at > now:
            self._seen = None
            raise Retry("lease", f"another trainer holds it until {line.expires_at:%H:%M:%S} UTC; this one stands by")
        self._seen = line.expires_at if line is not None and ours else None
        if not ours:
            self._write(work, now, (line.fence if line is not None else 0) + 1)
        elif line.expires_at - now < self._lasts * 2 / 3:
            self._write(work, now, line.fence)

    def compared(self) -> None:
        """See `Lease.compared`."""
        self._compared = True

    def release(self, work: Work) -> None:
        """See `Lease.release`."""
        ours = (leases.c.name == NAME, leases.c.holder == self._holder)
        work.sql.execute(sa.update(leases).where(*ours).values(expires_at=sa.func.utc_timestamp(6)))

    def _write(self, work: Work, now: datetime, fence: int) -> None:
        values = {"holder": self._holder, "fence": fence, "expires_at": now + self._lasts}
        work.sql.execute(insert(leases).values(name=NAME, **values).on_duplicate_key_update(**values))
