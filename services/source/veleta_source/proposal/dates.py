"""Finds how the dates of a column are written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np

from veleta.values import parse_date, parse_date_as

LEAST_SHARE = 0.9
"""The share of the values that one format must read."""
SAMPLE = 200
"""So many different texts decide which formats are tried on all of them."""
MAX_LENGTH = 40
FIRST_YEAR, LAST_YEAR = 1000, 2200

DAY_FIRST = [f"%d{mark}%m{mark}%{year}" for mark, year in product("/.- ", "Yy")]
WORDS = (
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %b %y", "%d %B %Y", "%d. %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y",
    "%B %d %Y", "%d/%b/%Y", "%b %Y", "%B %Y", "%b-%y", "%b-%Y", "%b/%Y", "%a, %d %b %Y", "%A, %B %d, %Y",
)  # fmt: skip
NUMBERS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%Y", "%m-%Y", "%Y-%m", "%Y/%m")
_COMPACT = "%Y%m%dT%H%M%S"
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S", "T%H:%M:%SZ", " %H:%M:%S.%f", "T%H:%M")


@dataclass(frozen=True)
class DateFormat:
    """A format of `strptime`, empty for those that need none; the dates of the texts; and `other`.

    `other` is the format with day and month exchanged, if it reads the texts too.
    """

    text: str
    dates: Sequence[date | None]
    other: str = ""


def find_date_format(texts: Sequence[str], counts: np.ndarray, *, day_first: bool) -> DateFormat | None:
    """The format that reads the most of the texts, or None if none reads enough of them.

    Day and month are told apart by values above 12. Without one, `day_first` decides.
    """
    sample = texts[:SAMPLE]
    if sum(map(_may_be_date, sample)) < len(sample) / 2:
        return None
    plain = [parse_date(text) for text in texts]
    if _share(plain, counts) >= LEAST_SHARE:
        return DateFormat("", plain)
    found = {form: [_plausible(parse_date_as(text, form)) for text in texts] for form in _candidates(sample)}
    shares = {form: _share(dates, counts) for form, dates in found.items()}
    best = max(shares.values(), default=0.0)
    if best < LEAST_SHARE:
        return None
    tied = [form for form, share in shares.items() if share == best]
    first = next((form for form in tied if _is_day_first(form) == day_first), tied[0])
    other = next((form for form in tied if form == exchanged(first)), "")
    return DateFormat(first, found[first], other)


def exchanged(form: str) -> str:
    """The format with day and month exchanged."""
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def is_decided(form: DateFormat) -> bool:
    """Whether the values show that the day, or the month, is first."""
    return not form.other and bool(re.match(r"%[dm].%[dm]", form.text))


def _is_day_first(form: str) -> bool:
    return form.startswith("%d")


def _candidates(sample: Sequence[str]) -> list[str]:
    """The formats that read at least half of the sample. Those of a time follow that of the date."""
    has_time = any(":" in text for text in sample)
    dates = [*DAY_FIRST, *map(exchanged, DAY_FIRST), *(WORDS if any(map(_has_word, sample)) else ()), *NUMBERS]
    forms = [_COMPACT, *(f"{day}{time}" for day, time in product(dates, TIMES if has_time else ("",)))]
    return [form for form in forms if _reads(form, sample[:5]) and 2 * _reads(form, sample) >= len(sample)]


def _reads(form: str, texts: Sequence[str]) -> int:
    return sum(_plausible(parse_date_as(text, form)) is not None for text in texts)


def _plausible(day: date | None) -> date | None:
    return day if day and FIRST_YEAR <= day.year <= LAST_YEAR else None


def _may_be_date(text: str) -> bool:
    return len(text) <= MAX_LENGTH and sum(character.isdigit() for character in text) > 1


def _has_word(text: str) -> bool:
    return re.search(r"[^\W\d_]{3}", text) is not None


def _share(dates: Sequence[date | None], counts: np.ndarray) -> float:
    return float(counts[[day is not None for day in dates]].sum() / max(1, counts.sum()))
