"""The messages about single values: what came, and what is wanted instead."""

import math
import re
from datetime import date

from veleta.dataset import MAX_TEXT, Column
from veleta.values import parse_number

MAX_SHOWN = 40
"""Characters of a value that a message shows."""
DATE = "1999-09-30"
_DATE_LIKE = re.compile(r"\s*(\d{4})\D(\d{1,2})\D(\d{1,2})(?!\d)", re.ASCII)


def shown(value: object) -> str:
    """A value as a message shows it, cut to MAX_SHOWN characters."""
    if isinstance(value, str):
        return repr(value) if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]!r}..."
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, date):
        return value.isoformat()
    return "an object" if isinstance(value, dict) else "a list"


def unfit(column: Column, value: object) -> str:
    """Why a value is not of the column's kind, and what to write."""
    match column.kind:
        case "category":
            return _no_text(value)
        case "date":
            return _no_date(value)
        case "boolean":
            return f"{shown(value)} is neither true nor false"
        case _:
            return _no_number(column, value)


def too_small(minimum: float, value: float) -> str:
    """The value is below the column's minimum."""
    return f"must be at least {_number(minimum)}, not {_number(value)}"


def no_object(item: object) -> str:
    """An item of a request is no object."""
    return f"must be an object with the columns, not {shown(item)}"


def _number(value: float) -> str:
    """A number without unnecessary digits: 4, 0.38, 1e+308, NaN, Infinity."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return f"{value:.15g}"


def _no_text(value: object) -> str:
    if not isinstance(value, str):
        return f"{shown(value)} is no text"
    if len(value) > MAX_TEXT:
        return f"has {len(value):,} characters, and may have {MAX_TEXT}: {shown(value)}"
    return f"{shown(value)} is no value: write a text of 1 to {MAX_TEXT} characters"


def _no_date(value: object) -> str:
    match = _DATE_LIKE.match(value) if isinstance(value, str) else None
    if match is None:
        return f"{shown(value)} is no date: write it as {DATE}"
    try:
        return f"{shown(value)} is no date: write it as {date(*map(int, match.groups())).isoformat()}"
    except ValueError:
        return f"{shown(value)} is no day of the calendar"


def _no_number(column: Column, value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, not {shown(value)}"
    if column.kind == "identifier" and column.digits:
        return f"{shown(value)} is neither a number nor text of up to {column.digits} digits"
    if isinstance(value, str) and (number := parse_number(value, column.unit)) is not None:
        return f"{shown(value)} is text: write {_number(number)} without quotes"
    return f"{shown(value)} is no number"
