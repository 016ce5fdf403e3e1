"""What the modules of inference require of each other."""

from collections.abc import Sequence
from typing import Protocol

from veleta.events.envelope import Record
from veleta_inference.domain.journal_lines import Portion
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

    def read(self) -> Portion:
        """The oldest lines, as many as one statement inserts."""

    def acknowledge(self, portion: Portion) -> None:
        """Delete the oldest lines, as `read` returned them: all of them are stored elsewhere."""

    def adopt(self) -> None:
        """If there are no lines, take over a file of a process that has ended. Its lines are read next.

        One file at a time, so that the limit holds, and several processes share what a long outage left.

        Raises:
            Retry: it cannot be taken over.
        """


class Journal(JournalWriter, JournalReader, Protocol):
    """Stores requests on this machine until the database has them."""

    def check(self) -> None:
        """Raise Retry if nothing can be appended."""

    def close(self) -> None:
        """Close the files. The next process reads the lines that remain."""


class ReportedRecords(Protocol):
    """The records of topics that have a dead letter, of all workers and starts."""

    def __contains__(self, record: Record, /) -> bool: ...

    def add(self, record: Record, /) -> None:
        """Add a record whose dead letter is stored."""


class AnswerTable(Protocol):
    """Stores requests with their answers, by id."""

    async def insert(self, lines: Sequence[bytes]) -> None:
        """See `Sink`."""

    async def find(self, request_id: str) -> str | None:
        """The answer of a request, empty if it is stored without one. None if there is no such request.

        Raises:
            Retry: the table is unavailable.
        """


class Sink(Protocol):
    """Where a drain inserts the lines of a journal, such as a table."""

    @property
    def name(self) -> str:
        """Its full name, for logs and metrics."""

    @property
    def dependency(self) -> str:
        """What must be available to insert, as in `Retry`."""

    async def insert(self, lines: Sequence[bytes]) -> None:
        """Insert all lines, or none of them. A table skips requests that it has.

        Raises:
            Retry: the dependency is unavailable.
            Reject: one of the lines is refused.
        """
