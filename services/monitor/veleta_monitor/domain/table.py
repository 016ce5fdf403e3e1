"""The tables that the page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from veleta_monitor.domain.formatting import NO_VALUE, format_age, format_utc

Tone = Literal["", "good", "warn", "bad", "neutral"]
"""The colour of a text. The text alone has the same meaning."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a tooltip, the colour of its badge, an address to link to, a second line in small type."""

    text: str
    hint: str = ""
    tone: Tone = ""
    link: str = ""
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: `numeric` ones are aligned right, `wide` ones contain sentences."""

    title: str
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows with one cell per column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def time_cell(at: datetime | None, now: datetime) -> Cell:
    """The age of a time, with the exact time as its tooltip."""
    return age_cell("", at, now) or Cell(NO_VALUE)


def age_cell(prefix: str, at: datetime | None, now: datetime) -> Cell | None:
    """A prefix and the age of a time, with the exact time as the tooltip. None without a time."""
    return Cell(f"{prefix}{format_age(at, now)}", hint=format_utc(at)) if at else None
