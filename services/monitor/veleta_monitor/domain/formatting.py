"""Times and numbers as people read them, and the table that all sections are given as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

NOTHING = "-"
"""Stands where there is no value."""
_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

Tone = Literal["", "good", "warn", "bad", "quiet"]
"""How a cell is set off. The word says the same as the colour."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a hint for the pointer, a badge's tone, an address to go to, a second line in small type."""

    text: str
    hint: str = ""
    tone: Tone = ""
    link: str = ""
    note: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column: `numeric` ones are set to the right, `wide` ones hold sentences."""

    title: str
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are heads."""

    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]


def span(seconds: float) -> str:
    """A length of time in one unit, rounded down: `12 s`, `3 days`; empty below a second."""
    for unit, length in _UNITS:
        if seconds >= length:
            number = int(seconds // length)
            plural = "s" if unit == "day" and number > 1 else ""
            return f"{number} {unit}{plural}"
    return ""


def ago(at: datetime, now: datetime) -> str:
    """How long ago: `12 s ago`. A clock that is ahead gives `just now`."""
    length = span((now - at).total_seconds())
    return f"{length} ago" if length else "just now"


def exact(at: datetime) -> str:
    """The moment in full, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def moment(at: datetime | None, now: datetime) -> Cell:
    """A time as a cell: short, with the exact one as its hint."""
    return Cell(ago(at, now), hint=exact(at)) if at else Cell(NOTHING)


def figure(value: float | None) -> str:
    """A number with thousands separators: whole from 100 on, three significant digits below."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004 - as said


def listed(figures: Mapping[str, float]) -> str:
    """Named figures, one a line."""
    return "\n".join(f"{name}: {figure(value)}" for name, value in figures.items())
