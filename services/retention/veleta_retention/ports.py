"""What retention requires of the database. Each call is a transaction of its own, and raises Retry."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from veleta_retention.domain.expiry import Purge


class Table(Protocol):
    """A table whose rows expire."""

    @property
    def name(self) -> str:
        """Its full name, for logs and metrics."""

    def delete_before(self, cutoff: datetime) -> int:
        """Delete some of the rows from before a time. Returns how many, 0 if there are none."""


class RequestTable(Table, Protocol):
    """A table from which requests are deleted."""

    def delete_purged(self, purge: Purge) -> int:
        """Delete some of the rows of a purge. Returns how many, 0 if there are none."""

    def pending_purges(self) -> Sequence[Purge]:
        """The purges of which this table has rows, because these were inserted after the purge."""


class PurgeTable(Table, Protocol):
    """The table of purges."""

    def save(self, purge: Purge) -> None:
        """Save a purge. It replaces an earlier one with the same name."""
