"""What the parts of inference ask of each other."""

from collections.abc import Sequence
from typing import Protocol

from veleta_inference.domain.promotions import Promotion, Served


class Serving(Protocol):
    """Knows which model answers."""

    @property
    def served(self) -> Served:
        """The model that answers now. Raises Retry while there is none."""
        ...

    def known(self) -> Sequence[Promotion]:
        """The last promotions that this process knows of, the newest first."""
        ...


class Keeper(Protocol):
    """Keeps requests: lines of JSON, in the order they came."""

    async def keep(self, lines: Sequence[bytes]) -> None:
        """Return when the lines (without an end) are safe.

        Raises:
            Retry: the journal is full or cannot be written; none of the lines is in it.
        """
        ...


class Kept(Protocol):
    """Requests that are kept and not yet in the database."""

    def read(self) -> list[bytes]:
        """The oldest lines, as many as one statement takes; none when there are none."""
        ...

    def forget(self, lines: Sequence[bytes]) -> None:
        """The oldest lines are in the database."""
        ...


class Journal(Keeper, Kept, Protocol):
    """What makes requests safe on this machine until the database has them."""

    def check(self) -> None:
        """Whether more may be kept. Raises Retry."""
        ...

    def close(self) -> None:
        """Give the journal up; what it still holds is read by its next owner."""
        ...


class Table(Protocol):
    """A table of requests."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    async def insert(self, lines: Sequence[bytes]) -> None:
        """Write the rows of all lines in one statement, or none. Those that are in the table already are left alone.

        Raises:
            Retry: the database is away.
            Reject: it refuses one of the rows.
        """
        ...
