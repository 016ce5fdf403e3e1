"""What retention asks of the database. Each call is a transaction of its own and raises Retry when it is away."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from veleta_retention.domain.expiry import Purge


class Table(Protocol):
    """A table whose rows grow old."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    def delete_older(self, than: datetime) -> int:
        """Delete some of the rows from before a moment: how many; 0 when there are none."""
        ...


class Requests(Table, Protocol):
    """A table of requests."""

    def delete_purged(self, purge: Purge) -> int:
        """Delete some of the rows that a purge means: how many; 0 when there are none."""
        ...

    def purged(self) -> Sequence[Purge]:
        """The purges that mean rows of this table: those rows came into it after the purge."""
        ...


class Purges(Table, Protocol):
    """What was purged."""

    def add(self, purge: Purge) -> None:
        """Remember it. Of two with one name the later counts."""
        ...
