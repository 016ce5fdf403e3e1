"""Times and numbers as text."""

from collections.abc import Mapping
from datetime import datetime

NO_VALUE = "-"
_UNITS = {"day": 86_400, "h": 3_600, "min": 60, "s": 1}


def format_span(seconds: float) -> str:
    """A duration in one unit, rounded down: `12 s`, `3 days`. Empty below a second."""
    for unit, length in _UNITS.items():
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''}"
    return ""


def format_age(at: datetime, now: datetime) -> str:
    """The age of a time: `12 s ago`. `just now` below a second, and for a time in the future."""
    span = format_span((now - at).total_seconds())
    return f"{span} ago" if span else "just now"


def format_utc(at: datetime) -> str:
    """The exact time, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def format_number(value: float | None) -> str:
    """A number with thousands separators: whole from 100 on, three significant digits below."""
    if value is None:
        return NO_VALUE
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004 - see above


def format_numbers(values: Mapping[str, float]) -> str:
    """Named numbers, one per line."""
    return "\n".join(f"{name}: {format_number(value)}" for name, value in values.items())


def format_share(share: float) -> str:
    """A share in percent, with three significant digits: `14.2 %`."""
    return f"{100 * share:.3g} %"


def format_probability(probability: float) -> str:
    """A p-value with two significant digits."""
    return "< 0.0001" if probability < 0.0001 else f"{probability:.2g}"  # noqa: PLR2004 - as it is written


def shorten(text: str, length: int) -> str:
    """The text, of at most `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"
