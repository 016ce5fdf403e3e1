"""How values that people write as text are read: numbers, identifiers, dates and categories.

A text is read if it has one meaning. Otherwise it is no value. docs/how-to/own-rows.md has the rules with examples.
"""

import re
import unicodedata
from datetime import date, datetime
from functools import lru_cache
from math import isfinite
from typing import Literal

DecimalMark = Literal[".", ",", ""]
"""The mark before decimals. Empty: it is not known, so `1,234` and `1.234` have two meanings."""

SIGNS_OF_CURRENCIES = {
    "USD": ("us$", "$"), "EUR": ("€",), "GBP": ("£",), "JPY": ("¥",), "CNY": ("¥",), "INR": ("₹",), "KRW": ("₩",),
    "CHF": ("fr.",), "BRL": ("r$",),
}  # fmt: skip
"""By unit: the signs that mean it. In a column with one of these units no other sign is read."""
CURRENCY_SIGNS = tuple("$€£¥₹₩₽₺₫₴₪₱฿₦₡₲₵₸₼₾")

_SAME_MARKS = str.maketrans("’−–‑٫٬．，＄", "'---._.,$")  # noqa: RUF001 - such marks are read
_DATE = re.compile(
    r"(\d{4})(?P<mark>[-/.])(\d\d)(?P=mark)(\d\d)(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+]00:?00)?)?", re.ASCII
)
_TRUE, _FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
_CACHED_DATES = 30_000
"""More than there are days in 80 years."""
_COMPACT_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T000000Z?)?", re.ASCII)


def _number_pattern(mark: str, separator: str) -> re.Pattern[str]:
    """Numbers with this decimal mark, and with this or a neutral separator between groups of digits."""
    groups = "|".join(rf"(?:{each}\d{{3}})+" for each in (separator, " ", "'", "_"))
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{groups})|[1-9]\d?(?:{separator}\d\d)+{separator}\d{{3}})"
    return re.compile(rf"[+-]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:e[+-]?\d+)?", re.ASCII)


_PATTERNS = {".": _number_pattern(r"\.", ","), ",": _number_pattern(",", r"\.")}


def parse_number(text: str, unit: str = "", mark: DecimalMark = ".") -> float | None:
    """The finite number that a text means, or None.

    Spaces, separators between groups, a currency sign and the `unit` are removed. `mark` decides between the two
    meanings of texts such as `1,234` and `1.234`.
    """
    if mark == ".":
        try:
            number = float(text)
        except ValueError:
            pass
        else:
            return number if isfinite(number) else None
    meanings = _meanings(text, unit)
    if len(set(meanings.values())) == 1:
        return next(iter(meanings.values()))
    return meanings.get(mark)


def decimal_mark(text: str, unit: str = "") -> DecimalMark:
    """The decimal mark that a number shows: `,` in 0,38 and `.` in 1,234.5. Empty if it shows none, as 12 and 1,234."""
    marks: list[DecimalMark] = [mark for mark in (".", ",") if mark in _meanings(text, unit)]
    return marks[0] if len(marks) == 1 else ""


def parse_identifier(text: str, digits: int = 0, mark: DecimalMark = ".") -> float | None:
    """The whole number that a text means, or None.

    With `digits` it may have leading zeros and the extension of a ZIP+4 code: `06016-1234` is 6016.0.
    """
    plain = re.fullmatch(r"(\d+)(?:-\d{4})?", _plain(text), re.ASCII) if digits else None
    number = float(plain[1]) if plain else parse_number(text, mark=mark)
    if number is None or not number.is_integer() or (digits and not 0 <= number < 10**digits):
        return None
    return number


def parse_date(text: str) -> date | None:
    """The date of a text as 1999-09-30, 1999/09/30 or 19990930, or None. A time of midnight is left out."""
    match = _DATE.fullmatch(plain := _plain(text)) or _COMPACT_DATE.fullmatch(plain)
    if match is None:
        return None
    try:
        return date(*(int(group) for group in match.groups() if group.isdecimal()))
    except ValueError:
        return None


def parse_date_as(text: str, form: str) -> date | None:
    """The date of a text in this format (see `strptime`), or else in one that `parse_date` reads, or None."""
    return _date_as(text.strip(), form) or parse_date(text)


def parse_boolean(text: str) -> str | None:
    """`true` or `false`, or None. Also read are yes and no, y and n, t and f, 1 and 0, in any case."""
    word = text.strip().casefold()
    return "true" if word in _TRUE else "false" if word in _FALSE else None


def parse_category(text: str) -> str | None:
    """The text in Unicode's form NFC, without spaces around it. None if it is empty or `NaN`."""
    text = text.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return None if text in ("", "NaN", "nan") else text


@lru_cache(_CACHED_DATES)
def _date_as(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).date()  # noqa: DTZ007 - only the date is used
    except ValueError:
        return None


def _meanings(text: str, unit: str) -> dict[DecimalMark, float]:
    """The finite numbers that a text can mean, by decimal mark."""
    bare = _without_unit(_plain(text).casefold(), unit)
    meanings: dict[DecimalMark, float] = {}
    marks: tuple[DecimalMark, ...] = (".", ",")
    for mark in marks:
        if _PATTERNS[mark].fullmatch(bare):
            number = float("".join(c for c in bare if c.isalnum() or c in "+-" or c == mark).replace(",", "."))
            if isfinite(number):
                meanings[mark] = number
    return meanings


def _without_unit(text: str, unit: str) -> str:
    """The text without a unit before or after the number. A plus or minus stays."""
    sign = text[:1] if text[:1] in ("+", "-") else ""
    rest = text.removeprefix(sign).lstrip()
    units = _units(unit)
    rest = rest.removeprefix(next(filter(rest.startswith, units), "")).lstrip()
    rest = rest.removesuffix(next(filter(rest.endswith, units), "")).rstrip()
    return sign + rest


@lru_cache
def _units(unit: str) -> tuple[str, ...]:
    """How the unit can stand beside a number: itself, and the signs of currencies. In lower case."""
    signs = SIGNS_OF_CURRENCIES.get(unit.strip().upper(), CURRENCY_SIGNS)
    name = _plain(unit).casefold()
    return signs if not name or re.search(r"[\d+-]", name) else (name, *signs)


def _plain(text: str) -> str:
    """The text with ASCII digits, separators and spaces. Spaces and Excel's marks of a text around it are removed."""
    text = text.strip().removeprefix("'")
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    if text.isascii():
        return text
    return "".join(_ascii(c) for c in text.translate(_SAME_MARKS))


def _ascii(character: str) -> str:
    if character.isspace():
        return " "
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)
