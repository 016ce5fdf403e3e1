"""What the modules of inference require of each other."""

from collections.abc import Sequence
from typing import Protocol

from veleta_inference.domain.promotions import LoadedModel, Promotion


class ModelProvider(Protocol):
    """Provides the served model."""

    @property
    def model(self) -> LoadedModel:
        """The served model. Raises Retry while there is none."""

    def promotions(self) -> Sequence[Promotion]:
        """The last known promotions, the newest first."""


class JournalWriter(Protocol):
    """Appends lines of JSON, in order."""

    async def append(self, lines: Sequence[bytes]) -> None:
        """Append lines, given without line ends, and return when they are durable.

        Raises:
            Retry: the journal is full or cannot be written. Then it contains none of the lines.
        """


class JournalReader(Protocol):
    """Reads the lines that are not yet in the database."""

    def read(self) -> list[bytes]:
        """The oldest lines, as many as one statement inserts. Empty if there are none."""

    def acknowledge(self, lines: Sequence[bytes]) -> None:
        """Delete the oldest lines: the database has them."""


class Journal(JournalWriter, JournalReader, Protocol):
    """Stores requests on this machine until the database has them."""

    def check(self) -> None:
        """Raise Retry if nothing can be appended."""

    def close(self) -> None:
        """Close the files. The next process reads the lines that remain."""


class RequestTable(Protocol):
    """A table into which the drain inserts requests."""

    @property
    def name(self) -> str:
        """Its full name, for logs and metrics."""

    async def insert(self, lines: Sequence[bytes]) -> None:
        """Insert the rows of all lines in one statement, or none of them. Requests that the table has are skipped.

        Raises:
            Retry: the database is unavailable.
            Reject: the database refuses one of the rows.
        """
