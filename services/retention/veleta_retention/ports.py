"""What retention requires. Each call to the database is a transaction of its own, and raises Retry."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from veleta_retention.domain.expiry import Purge
from veleta_retention.domain.kept_rows import BatchKey, ClosedBatch
from veleta_retention.domain.kept_versions import Artifacts
from veleta_retention.domain.trusted_time import TrustedTime

Now = Callable[[], Awaitable[datetime]]
"""The time by which rows expire. Raises Retry."""


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


class TimeTable(Protocol):
    """The table with the trusted time."""

    def load(self) -> TrustedTime | None:
        """The time that was saved last. None before the first one."""

    def save(self, time: TrustedTime) -> None:
        """Replace it."""


class RowTable(Protocol):
    """A table whose rows belong to batches."""

    @property
    def name(self) -> str:
        """Its full name, for logs."""

    def delete_before(self, oldest: BatchKey) -> int:
        """Delete some of the rows of the batches before one. Returns how many, 0 if there are none."""


class RowTopic(Protocol):
    """The topic `rows`."""

    def delete_before(self, offsets: Mapping[int, int]) -> int:
        """Delete the records below the offset of each partition. Returns how many. Raises Retry."""


class Batches(Protocol):
    """The batches that have rows."""

    def refresh(self) -> Mapping[BatchKey, ClosedBatch]:
        """All of them, with those that were closed since the last call. Raises Retry."""

    def forget_before(self, oldest: BatchKey) -> None:
        """Forget the batches before one."""


class RowReaders(Protocol):
    """What the services have read, and still have to read."""

    def newest_epoch(self) -> int:
        """The newest epoch that the loader has loaded: it compared the rows with their manifest. Raises Retry."""

    def processed(self) -> int:
        """The next offset of `batches` that the slowest of loader and drift will process. Raises Retry."""

    def trainings_from(self) -> BatchKey | None:
        """The first batch that a training will read, if any is waiting or in progress. Raises Retry."""


class DecisionTable(Protocol):
    """The decisions on versions."""

    def after(self, seq: int) -> list[tuple[int, int, str]]:
        """Sequence number, version and outcome of the decisions after one, in order. Raises Retry."""


class ModelArtifacts(Protocol):
    """The artifacts of the registered model's versions."""

    def state(self, version: int) -> Artifacts:
        """Whether the artifacts exist. Raises Retry."""

    def delete(self, version: int) -> None:
        """Delete the artifacts of the version and of its run, then set its tag. Raises Retry."""
