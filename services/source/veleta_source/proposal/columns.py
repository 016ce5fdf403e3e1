"""Decides what a column is by its cells, with the reasons in words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from veleta.dataset import MAX_TEXT, Kind, Value
from veleta.dataset_faults import MAX_DIGITS
from veleta.input.faults import quoted
from veleta.values import DecimalMark, decimal_mark, parse_boolean, parse_category, parse_date, parse_number
from veleta_source.proposal.cells import Cells
from veleta_source.proposal.dates import FIRST_YEAR, LAST_YEAR, DateFormat, exchanged, find_date_format, is_decided
from veleta_source.proposal.names import words

LEAST_SHARE = 0.9
"""The share of the cells with a value that must be numbers, for a number."""
MOST_MISSING = 0.95
DISTINCT = 0.9
"""A text with so many different values among its rows is no category."""
LONG_TEXT = 60
"""The mean length of a free text."""
SHORT_TEXT = 40
LARGE, HUGE = 10_000, 1e15
MONTHS, COMPACT_DATE = 12, 8
MOST_PREFIXES, ROWS_PER_PREFIX = 1_000, 30

MARKERS = {"na", "n/a", "n.a.", "#n/a", "nan", "-", "--", "—", "?", ".", "null", "none", "nil", "missing", "unknown",
    "#ref!", "#value!", "#div/0!", "#name?", "#num!", "#null!",
}  # fmt: skip
"""Words that mean that there is no value, if the column is no text."""
_BOOLEANS = ({"yes", "no"}, {"true", "false"}, {"t", "f"}, {"y", "n"})
_ID_WORDS = {
    "id", "ids", "pid", "uid", "uuid", "guid", "identifier", "key", "number", "num", "no", "nr", "serial", "parcel",
    "apn", "account", "mls", "ref", "reference", "code", "sku", "vin", "isbn",
}  # fmt: skip
_ID_NAME = re.compile(r"(?:house|property|listing|sale|customer|user|order|object|parcel|item|record|row)s?id$")
_POST = re.compile(r"zip|post(?:al)?_?code|postal|plz|postleitzahl|pin_?code")
_ADDRESS = re.compile(r"(?:addr(?:ess)?|adresse|streets?|strasse)")
_UNIT = re.compile(r"[+-]?[\d.,' ]*\d\s*([^\d\s.,+-][^\d\s+-]{0,11})")


@dataclass(frozen=True)
class Proposal:
    """What a column is. `values` are those of its texts, None for no value; `reasons` are lines of a comment.

    `left_out` is the reason why it is left out; then the rest has no meaning.
    """

    cells: Cells
    kind: Kind = "category"
    values: Sequence[Value] = ()
    reasons: Sequence[str] = ()
    left_out: str = ""
    unit: str = ""
    form: DateFormat = field(default_factory=lambda: DateFormat("", []))
    feature: str = ""
    digits: int = 0
    prefix: int = 0
    missing: Sequence[str] = ()
    is_address: bool = False

    @property
    def is_feature(self) -> bool:
        """Whether the model uses it."""
        return self.feature != "none" and (self.kind != "identifier" or self.feature == "prefix")

    @property
    def is_id(self) -> bool:
        """Whether its values identify things."""
        return not self.is_feature and not self.is_address and self.kind != "date"

    @property
    def present(self) -> np.ndarray:
        """Whether each row has a value."""
        known = np.array([value is not None for value in self.values])
        found: np.ndarray = known[self.cells.codes]
        return found

    @property
    def optional(self) -> bool:
        """Whether a row has no value."""
        return not self.present.all()

    @property
    def numbers(self) -> np.ndarray:
        """The number of each row, NaN for none. Only for kinds with numbers."""
        numbers = [value if isinstance(value, float) else np.nan for value in self.values]
        found: np.ndarray = np.array(numbers, float)[self.cells.codes]
        return found


def file_mark(columns: Sequence[Cells]) -> DecimalMark:
    """The decimal mark of columns that show none: `,` if the other numbers of the file show only that."""
    shown: set[DecimalMark] = set()
    for cells in columns:
        marks = _shown_marks(cells)
        if marks and _number_share(cells, _numbers(cells, "", "," if marks == {","} else ".")) >= LEAST_SHARE:
            shown |= marks
    return "," if shown == {","} else "."


def propose_target(cells: Cells, mark: DecimalMark) -> Proposal:
    """The target as a number, whatever the share of its rows with one."""
    unit, numbers = _best_numbers(cells, mark)
    return _as_number(cells, numbers, unit)


def propose_column(cells: Cells, mark: DecimalMark, *, day_first: bool, is_unique_header: bool) -> Proposal:
    """What a column is. `mark` is the decimal mark of the file, and `day_first` decides dates that may be both."""
    if reason := _useless(cells, mark, is_unique_header=is_unique_header):
        return Proposal(cells, left_out=reason)
    found = (
        _boolean(cells)
        or _compact_date(cells)
        or _numeric(cells, mark)
        or _date(cells, day_first=day_first)
        or _text(cells)
    )
    rows = len(cells.codes)
    missing = 0 if found.left_out else rows - int(found.present.sum())
    if missing > MOST_MISSING * rows:
        return Proposal(cells, left_out=f"{percent(missing, rows)} of the rows have no value")
    return found


def figure(number: float) -> str:
    """A number for people: 1,180,000, 1955 or 47.5112."""
    return f"{number:,.0f}" if LARGE <= abs(number) < HUGE else f"{number:.6g}"


def percent(count: float, rows: int) -> str:
    """A share of the rows."""
    share = 100 * count / rows
    return f"{share:.1f} %" if share >= 0.1 or not count else "less than 0.1 %"  # noqa: PLR2004 - a tenth


def plural(noun: str, count: int) -> str:
    """The noun for a count."""
    return noun if count == 1 else f"{noun}s"


def _useless(cells: Cells, mark: DecimalMark, *, is_unique_header: bool) -> str:
    """Why a column is left out, whatever its kind. Empty if it may be of use."""
    if not cells.header:
        index = _index(cells, numbers_of(cells.texts, "", mark))
        return f"it has no header; {index or _described(cells)}"
    if not is_unique_header:
        return "its header is there more than once"
    different = [text for text in cells.texts if parse_category(text) is not None]
    if not different:
        return "no row has a value"
    return f"one value only: {quoted(different[0])}" if len(different) == 1 and not _missing_rows(cells) else ""


def numbers_of(texts: Sequence[str], unit: str, mark: DecimalMark) -> list[Value]:
    """The number of each text, or None."""
    return [parse_number(text, unit, mark) for text in texts]


def _boolean(cells: Cells) -> Proposal | None:
    present = {text.casefold() for text in cells.texts} - {""} - MARKERS
    if present not in _BOOLEANS:
        return None
    values: list[Value] = [parse_boolean(text) for text in cells.texts]
    counts = ", ".join(
        f"{quoted(text)} {percent(count, len(cells.codes))}"
        for text, value, count in zip(cells.texts, values, cells.counts, strict=True)
        if value is not None
    )
    return _with_gaps(Proposal(cells, "boolean", values), "yes or no", [f"two values: {counts}"])


def _compact_date(cells: Cells) -> Proposal | None:
    """Whole numbers of eight digits that are all dates, as 20141013."""
    kept = [text for text in cells.texts if text and text.casefold() not in MARKERS]
    if not all(len(text) == COMPACT_DATE and text.isdecimal() for text in kept):
        return None
    years = [day.year for day in map(parse_date, kept) if day]
    if not kept or len(years) < len(kept) or not FIRST_YEAR <= min(years) <= max(years) <= LAST_YEAR:
        return None
    return _as_date(cells, DateFormat("", [parse_date(text) for text in cells.texts]))


def _numeric(cells: Cells, mark: DecimalMark) -> Proposal | None:
    unit, numbers = _best_numbers(cells, mark)
    if _number_share(cells, numbers) < LEAST_SHARE:
        return None
    whole = all(isinstance(number, float) and number.is_integer() for number in numbers if number is not None)
    is_id = whole and _is_id(cells, numbers)
    if not unit and not is_id and (digits := _code_digits(cells)):
        return _as_code(cells, numbers, digits)
    if not unit and (index := _index(cells, numbers)):
        return Proposal(cells, left_out=f"an index: {index}")
    if is_id:
        return _as_id(cells, numbers)
    return _as_number(cells, numbers, unit)


def _as_number(cells: Cells, numbers: Sequence[Value], unit: str) -> Proposal:
    found = Proposal(cells, "number", numbers, unit=unit)
    values = found.numbers[found.present]
    if not len(values):
        return _with_gaps(found, "a number", [])
    low, middle, high = (figure(each) for each in (values.min(), np.median(values), values.max()))
    different = len(np.unique(values))
    reasons = [f"{different:,} different {plural('number', different)} from {low} to {high}, median {middle}"]
    if unit:
        reasons.append(f"the unit {quoted(unit)} is beside the numbers")
    return _with_gaps(found, "a number", reasons)


def _as_code(cells: Cells, numbers: Sequence[Value], digits: int) -> Proposal:
    """Numbers that are names with a fixed number of digits: the model uses the first ones."""
    values = [
        value if isinstance(value, float) and value.is_integer() and 0 <= value < 10**digits else None
        for value in numbers
    ]
    found = Proposal(cells, "identifier", values, feature="prefix", digits=digits)
    rows = int(found.present.sum())
    kept = [str(int(value)).zfill(digits) for value in values if isinstance(value, float)]
    counts = {length: len({text[:length] for text in kept}) for length in range(digits, 0, -1)}
    most = max(2, min(MOST_PREFIXES, rows // ROWS_PER_PREFIX))
    prefix = next((length for length, count in counts.items() if count <= most), 1)
    leading = next((f", as {quoted(text)}" for text in cells.texts if text.startswith("0")), "")
    reasons = [
        f"a code of {digits} digits{leading}: {len(kept):,} different ones",
        f"the model uses the first {prefix}: {counts[prefix]:,} groups of {rows // counts[prefix]:,} rows on average",
    ]
    return _with_gaps(replace(found, prefix=prefix), "a code", reasons)


def _as_id(cells: Cells, numbers: Sequence[Value]) -> Proposal:
    reasons = [f"it names things: {_described(cells)}. The model does not use it"]
    if max(len(text) for text in cells.texts) > MAX_DIGITS:
        values: list[Value] = [parse_category(text) for text in cells.texts]
        return _with_gaps(Proposal(cells, "category", values, feature="none"), "a text", reasons)
    return _with_gaps(Proposal(cells, "identifier", numbers), "a number", reasons)


def _date(cells: Cells, *, day_first: bool) -> Proposal | None:
    kept = [i for i, text in enumerate(cells.texts) if text and text.casefold() not in MARKERS]
    found = find_date_format([cells.texts[i] for i in kept], cells.counts[kept], day_first=day_first)
    if found is None:
        return None
    days = dict(zip(kept, found.dates, strict=True))
    return _as_date(cells, replace(found, dates=[days.get(i) for i in range(len(cells.texts))]))


def _as_date(cells: Cells, form: DateFormat) -> Proposal:
    found = Proposal(cells, "date", form.dates, form=form)
    days = sorted({day for day in form.dates if day})
    reasons = [f"{len(days):,} different days from {days[0]} to {days[-1]}"]
    if form.other:
        example = next(text for text in cells.texts if text and text.casefold() not in MARKERS)
        reasons += [
            f"UNDECIDED: no value shows whether the day or the month is first, as {quoted(example)}",
            f'if the other is right: format = "{exchanged(form.text)}"',
        ]
    elif is_decided(form):
        decisive = (text for text, day in zip(cells.texts, form.dates, strict=True) if day and day.day > MONTHS)
        word = "day" if form.text.startswith("%d") else "month"
        reasons.append(f"the {word} is first, as {quoted(next(decisive, ''))} shows")
    if "%y" in form.text:
        reasons.append(
            "UNDECIDED: two digits of a year: 69 to 99 are read as 1969 to 1999, and 00 to 68 as 2000 to 2068"
        )
    return _with_gaps(found, "a date", reasons)


def _text(cells: Cells) -> Proposal:
    """A category, a text that names a thing, or a free text, which is left out."""
    values: list[Value] = [parse_category(text) for text in cells.texts]
    counts = np.array([0 if value is None else count for value, count in zip(values, cells.counts, strict=True)])
    lengths = np.array([len(text) for text in cells.texts])
    rows, different = int(counts.sum()), int((counts > 0).sum())
    mean, longest = float((lengths * counts).sum() / rows), int(lengths.max())
    many = different >= DISTINCT * rows
    short = longest <= MAX_TEXT and mean <= LONG_TEXT
    unused = Proposal(cells, "category", values, feature="none")
    if short and any(map(_ADDRESS.fullmatch, words(cells.header))) and 2 * different > rows:
        reason = f"an address: {different:,} different ones in {rows:,} rows. The model does not use it"
        return _with_gaps(replace(unused, is_address=True), "a text", [reason])
    if many and longest <= SHORT_TEXT and _names_things(cells):
        return _with_gaps(unused, "a text", [f"it names things: {_described(cells)}. The model does not use it"])
    if many or not short:
        seen = quoted(next(text for text in cells.texts if text))
        sizes = f"{mean:.0f} characters on average, at most {longest:,}"
        reason = f"a free text, as {seen}: {different:,} different values in {rows:,} rows, {sizes}"
        return Proposal(cells, left_out=reason)
    return _category(cells, values, counts)


def _category(cells: Cells, values: Sequence[Value], counts: np.ndarray) -> Proposal:
    """A category, whose values have these counts. A word for a missing value is a value of its own."""
    most, different = int(counts.argmax()), int((counts > 0).sum())
    frequent = f"the most frequent is {quoted(values[most])} ({percent(counts[most], int(counts.sum()))})"
    reasons = [f"{different:,} {plural('value', different)}; {frequent}"]
    reasons += [
        f"{quoted(text)} ({percent(count, len(cells.codes))}) is a value of its own, not a missing one: "
        f"missing = [{quoted(text)}] and optional = true change that"
        for text, count in zip(cells.texts, counts, strict=True)
        if count and text.casefold() in MARKERS
    ]
    return _with_gaps(Proposal(cells, "category", values), "a text", reasons)


def _with_gaps(found: Proposal, noun: str, reasons: Sequence[str]) -> Proposal:
    """The proposal with a reason for the rows that have no value, and the texts that mean so."""
    cells, rows = found.cells, len(found.cells.codes)
    without = [(t, int(n)) for t, n, v in zip(cells.texts, cells.counts, found.values, strict=True) if v is None]
    markers = [text for text, _ in without if text and text.casefold() in MARKERS]
    others = [(text, count) for text, count in without if text and text.casefold() not in MARKERS]
    missing, unread = sum(count for text, count in without if not text or text in markers), sum(n for _, n in others)
    if not missing + unread:
        return replace(found, reasons=list(reasons))
    parts = []
    if missing:
        words = f" ({', '.join(map(quoted, markers))})" if markers else ""
        parts.append(f"{percent(missing, rows)} have no value{words}")
    if unread:
        parts.append(f"{percent(unread, rows)} have another text, as {quoted(others[0][0])}")
    ending = ": both count as missing" if len(parts) > 1 else ", which counts as missing" if unread else ""
    figures = f"{rows - missing - unread:,} of {rows:,} rows have {noun}; {', '.join(parts)}{ending}"
    return replace(found, reasons=[*reasons, figures], missing=markers)


def _best_numbers(cells: Cells, mark: DecimalMark) -> tuple[str, list[Value]]:
    """The unit beside the numbers, mostly empty, and the numbers."""
    plain = _numbers(cells, "", mark)
    if _number_share(cells, plain) >= LEAST_SHARE:
        return "", plain
    units: dict[str, int] = {}
    for text, count in zip(cells.texts, cells.counts, strict=True):
        if found := _UNIT.fullmatch(text):
            units[found[1]] = units.get(found[1], 0) + int(count)
    unit = max(units, key=units.__getitem__, default="")
    numbers = _numbers(cells, unit, mark) if unit else plain
    return (unit, numbers) if _number_share(cells, numbers) >= LEAST_SHARE else ("", plain)


def _numbers(cells: Cells, unit: str, of_file: DecimalMark) -> list[Value]:
    shown = _shown_marks(cells, unit)
    mark = of_file if not shown else next(iter(shown)) if len(shown) == 1 else ""
    return numbers_of(cells.texts, unit, mark)


def _shown_marks(cells: Cells, unit: str = "") -> set[DecimalMark]:
    """The decimal marks that the texts of the first rows show, as a start finds them."""
    marks: set[DecimalMark] = set()
    for text in cells.texts[: cells.sampled]:
        if "," in text or text.count(".") > 1 or ("." in text and "." not in marks):
            marks |= {decimal_mark(text, unit)}
    return marks - {""}


def _number_share(cells: Cells, numbers: Sequence[Value]) -> float:
    """The share of numbers among the rows that have a value."""
    counts = cells.counts
    kept = np.array([bool(text) and text.casefold() not in MARKERS for text in cells.texts])
    read = np.array([number is not None for number in numbers])
    return float(counts[read].sum() / max(1, counts[kept].sum()))


def _code_digits(cells: Cells) -> int:
    """How many digits a post code, or a number with leading zeros, has. 0: it is neither."""
    plain = [re.fullmatch(r"(\d+)(?:-\d{4})?(?:\.0)?", text) for text in cells.texts]
    digits = [len(each[1]) for each in plain if each]
    counted = sum(int(count) for each, count in zip(plain, cells.counts, strict=True) if each)
    if counted < LEAST_SHARE * (len(cells.codes) - _missing_rows(cells)) or max(digits, default=99) > MAX_DIGITS:
        return 0
    is_post = _POST.search("_".join(sorted(words(cells.header)))) or _POST.search(cells.header.casefold())
    leading = any(each and len(each[1]) > 1 and each[1].startswith("0") for each in plain)
    return max(digits) if is_post or leading else 0


def _index(cells: Cells, numbers: Sequence[Value]) -> str:
    """What to say of numbers that are those of the rows, each one once and without gaps. Empty for others."""
    rows = len(cells.codes)
    present = [number for number in numbers if isinstance(number, float)]
    if len(present) != rows or words(cells.header) & {"year", "yr"} or rows <= 1:
        return ""
    low, high = min(present), max(present)
    if not low.is_integer() or high - low + 1 != rows or len(set(present)) != rows:
        return ""
    ascending = all(later - earlier == 1 for earlier, later in pairwise(present))
    return f"it counts the rows from {low:,.0f} to {high:,.0f}" if ascending or _names_things(cells) else ""


def _is_id(cells: Cells, numbers: Sequence[Value]) -> bool:
    rows = len(cells.codes) - _missing_rows(cells)
    return _names_things(cells) and 2 * len({*numbers} - {None}) > rows


def _names_things(cells: Cells) -> bool:
    """Whether the header says that the values are names of things."""
    found = words(cells.header)
    return (bool(found & _ID_WORDS) and "of" not in found) or bool(_ID_NAME.search(cells.header.casefold()))


def _missing_rows(cells: Cells) -> int:
    return sum(int(n) for text, n in zip(cells.texts, cells.counts, strict=True) if parse_category(text) is None)


def _described(cells: Cells) -> str:
    """How many different values there are, with an example."""
    texts = [text for text in cells.texts if text]
    seen = f", as {quoted(texts[0])}" if texts else ""
    return f"{len(texts):,} different {plural('value', len(texts))} in {len(cells.codes):,} rows{seen}"
