"""Decides what follows from the columns for the whole file: names, bounds, identity, batches, parts and the example."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import ceil, floor, log10

import numpy as np

from veleta.column_names import column_key
from veleta.dataset import MAX_TEXT, Period, Value
from veleta.errors import Stop
from veleta.features import MIN_TRAINING_ROWS
from veleta.input.faults import quoted
from veleta.periods import period_of
from veleta.valid_values import alternatives, did_you_mean
from veleta_source.domain.batch_division import EQUAL_PARTS
from veleta_source.proposal.cells import Cells, FileCells
from veleta_source.proposal.columns import MARKERS, Proposal, figure, file_mark, propose_column, propose_target
from veleta_source.proposal.dates import is_decided
from veleta_source.proposal.names import column_names, title_of, words

TAIL = 0.001
"""The share of the rows beyond a wide quantile."""
WIDENED, FAR = 2.0, 3.0
"""By which factor the quantiles of the target are widened, and beyond which one another number is far away."""
MOSTLY = 0.9
"""The share of the rows that must have a part of the identity."""
MOST_LOST = 0.005
"""The share of the rows that all bounds together may leave out."""
LEAST_BATCHES, MOST_BATCHES = 4, 40
FIRST_BATCH = 3 * MIN_TRAINING_ROWS
ROW_BYTES, TEXT_BYTES, NUMBER_BYTES = 62_000, 4 * MAX_TEXT + 2, 8
"""Of the 65,535 bytes of a row of MySQL: what the tables' own columns leave, and what each column needs."""
MOST_SLICES, MOST_SLICE_VALUES = 3, 20
_PERIODS: Sequence[Period] = ("month", "quarter", "year", "week", "day")
_EVENT_WORDS = {
    "date",
    "sold",
    "sale",
    "saledate",
    "closed",
    "closing",
    "listed",
    "transaction",
    "transfer",
    "datesold",
}
_OTHER_DATE_WORDS = {
    "birth",
    "born",
    "bought",
    "build",
    "built",
    "construction",
    "earlier",
    "former",
    "last",
    "prev",
    "previous",
    "prior",
    "purchased",
    "renewed",
    "renovated",
    "updated",
}
"""Words of dates that are not those of the row's own sale."""
_PLACE_WORDS = {
    "city",
    "town",
    "suburb",
    "zip",
    "zipcode",
    "postcode",
    "state",
    "county",
    "village",
    "place",
    "ort",
    "plz",
    "stadt",
}
_SIGNIFICANT = 2


@dataclass(frozen=True)
class Column:
    """One column of the dataset file."""

    name: str
    title: str
    found: Proposal
    header: str = ""

    @property
    def minimum(self) -> float | None:
        """0 if no number is below it."""
        numeric = self.found.kind == "number"
        return 0 if numeric and np.nanmin(self.found.numbers) >= 0 else None


@dataclass(frozen=True)
class Bounds:
    """The bounds of a number, with the reason."""

    low: float
    high: float
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that a dataset file says. Each text that ends in `reason` is a comment."""

    target: Column
    columns: Sequence[Column]
    left_out: Sequence[Proposal]
    cleaning: Mapping[str, Bounds]
    identity: Sequence[str]
    identity_reason: str
    batches: tuple[str, Period] | None
    batches_reason: str
    market_reason: str
    """Empty if no date of the sale divides the rows."""
    slices: Sequence[str]
    bands: Sequence[float]
    example: Mapping[str, Value]


def make_plan(file: FileCells, target: str) -> Plan:
    """The plan for a file whose column `target` is to be predicted. Raises Stop: no model can be trained on it."""
    target_cells = _target_cells(file, target)
    found, left_out = _within_row_size(*_proposals(file, target_cells))
    columns = _named(found, file)
    aim = next(column for column in columns if column.found.cells is target_cells)
    prices = _require_target(aim)
    batches, batches_reason = _batches(columns, prices > 0)
    if batches:
        columns = [_without_feature(column) if column.name == batches[0] else column for column in columns]
    if not any(column.found.is_feature for column in columns if column.name != aim.name):
        raise Stop(_no_feature(left_out))
    cleaning, clean = _cleaning(columns, aim)
    identity, identity_reason = _identity(columns)
    slices = [column.name for column in columns if _is_slice(column)][:MOST_SLICES]
    return Plan(
        aim, columns, left_out, cleaning, identity, identity_reason, batches, batches_reason,
        _market_reason(columns, batches), slices, _bands(prices[clean]), _example(columns, clean),
    )  # fmt: skip


def _proposals(file: FileCells, target: Cells) -> tuple[list[Proposal], list[Proposal]]:
    """The columns that are used, in the file's order, and those that are left out."""
    mark = file_mark(file.columns)
    headers = Counter(cells.header for cells in file.columns)

    def proposed(cells: Cells, *, day_first: bool) -> Proposal:
        if cells is target:
            return propose_target(cells, mark)
        return propose_column(cells, mark, day_first=day_first, is_unique_header=headers[cells.header] == 1)

    found = [proposed(cells, day_first=True) for cells in file.columns]
    if {each.form.text[:2] for each in found if is_decided(each.form)} == {"%m"}:
        found = [proposed(each.cells, day_first=False) if each.form.other else each for each in found]
    return [each for each in found if not each.left_out], [each for each in found if each.left_out]


def _within_row_size(found: list[Proposal], left_out: list[Proposal]) -> tuple[list[Proposal], list[Proposal]]:
    """The same, but the texts that vary least are left out if there are too many of them for a row of MySQL."""
    texts = [each for each in found if each.kind in ("category", "boolean")]
    texts.sort(key=lambda each: -int(each.cells.counts.max()))
    most = max(0, ROW_BYTES - NUMBER_BYTES * (len(found) - len(texts))) // TEXT_BYTES
    excess = texts[: max(0, len(texts) - most)]
    reason = f"a row of MySQL has place for {most} texts of the {len(texts)}, and this one varies less than those"
    kept = [each for each in found if all(each is not other for other in excess)]
    return kept, [*left_out, *(replace(each, left_out=reason) for each in excess)]


def _target_cells(file: FileCells, target: str) -> Cells:
    matching = [cells for cells in file.columns if column_key(cells.header) == column_key(target)]
    exact = [cells for cells in matching if cells.header == target.strip()] or matching
    if not exact or not column_key(target):
        headers = list(filter(None, (cells.header for cells in file.columns)))
        raise Stop(f"TARGET={target} is no column of the file: {did_you_mean(target, headers)}")
    if len(exact) > 1:
        headers = [cells.header for cells in exact]
        if len({*headers}) == 1:
            raise Stop(f"TARGET={target}: {len(exact)} columns have this header: keep one of them")
        raise Stop(f"TARGET={target} may be {alternatives(map(quoted, headers))}: write it exactly as one of them")
    return exact[0]


def _named(found: Sequence[Proposal], file: FileCells) -> list[Column]:
    """The columns with names and titles; with a header where these do not find the column in the file."""
    names = column_names(each.cells.header for each in found)
    columns = [Column(name, title_of(each.cells.header, name), each) for name, each in zip(names, found, strict=True)]
    keys = Counter(column_key(cells.header) for cells in file.columns)
    return [
        replace(column, header=column.found.cells.header) if _needs_header(column, keys) else column
        for column in columns
    ]


def _needs_header(column: Column, keys: Mapping[str, int]) -> bool:
    own, by_name, by_title = (column_key(each) for each in (column.found.cells.header, column.name, column.title))
    others = {by_name, by_title} - {own}
    unique = keys[own] == 1 and not any(keys[other] for other in others)
    return not own or bool(column.found.unit) or not unique or own not in (by_name, by_title)


def _require_target(aim: Column) -> np.ndarray:
    """The target of each row, NaN for none. Raises Stop: it cannot be learnt."""
    found, where = aim.found, f"TARGET={aim.found.cells.header}"
    rows, prices = len(found.cells.codes), found.numbers
    present, given = found.present, rows - _missing(found)
    if not present.any() or 2 * present.sum() < given:
        texts = zip(found.cells.texts, found.values, strict=True)
        seen = next((f", as {quoted(text)}" for text, value in texts if text and value is None), "")
        counts = f"only {int(present.sum()):,} of {given:,} values are numbers{seen}"
        raise Stop(f"{where}: {counts}: name a column of numbers")
    above, below = int((prices[present] > 0).sum()), int((prices[present] < 0).sum())
    if not above or 2 * below > present.sum():
        raise Stop(
            f"{where}: {below:,} of {int(present.sum()):,} numbers are below 0, and {above:,} above; the logarithm of "
            "the target is learnt, so name a column of numbers above 0"
        )
    if len(np.unique(prices[present & (prices > 0)])) == 1:
        raise Stop(f"{where} has one value in all rows, so there is nothing to learn")
    return prices


def _missing(found: Proposal) -> int:
    """How many rows have nothing, or a word that means so."""
    texts = zip(found.cells.texts, found.cells.counts, strict=True)
    return sum(int(count) for text, count in texts if not text or text.casefold() in MARKERS)


def _no_feature(left_out: Sequence[Proposal]) -> str:
    reasons = "; ".join(f"{each.cells.header or 'the one without a header'}: {each.left_out}" for each in left_out[:3])
    return f"no column beside the target is of use for a model{f': {reasons}' if reasons else ''}"


def _without_feature(column: Column) -> Column:
    reason = "it divides the rows into batches; the model does not use it, because each batch has other dates"
    return replace(column, found=replace(column.found, feature="none", reasons=[*column.found.reasons, reason]))


def _batches(columns: Sequence[Column], usable: np.ndarray) -> tuple[tuple[str, Period] | None, str]:
    """The date that divides the rows and the period, with the reason."""
    dates = [column for column in columns if column.found.kind == "date"]
    whole = [column for column in dates if not column.found.optional]
    whole.sort(key=lambda column: not words(column.found.cells.header) & _EVENT_WORDS)
    for column in whole:
        days = [
            column.found.values[code]
            for code, has_target in zip(column.found.cells.codes, usable, strict=True)
            if has_target
        ]
        for every in _PERIODS:
            counts = Counter(period_of(day, every) for day in days if isinstance(day, date))
            first, median = counts[min(counts)], int(np.median(list(counts.values())))
            if LEAST_BATCHES <= len(counts) <= MOST_BATCHES and first >= FIRST_BATCH and median >= MIN_TRAINING_ROWS:
                figures = f"{len(counts)} batches by {column.name}, one for each {every}"
                return (column.name, every), f"{figures}; the first has {first:,} rows, the median is {median:,}"
    if whole:
        wanted = f"{LEAST_BATCHES} to {MOST_BATCHES} batches of which the first has {FIRST_BATCH} rows"
        why = f"{whole[0].name} gives no {wanted}"
    else:
        why = f"{dates[0].name} has gaps" if dates else "no column is a date"
    return None, f"{why}: the rows become {EQUAL_PARTS} equal parts in the order of the file"


def _market_reason(columns: Sequence[Column], batches: tuple[str, Period] | None) -> str:
    """Why the date of the batches is that of each row's own sale. Empty if it is not, or if there is none."""
    dates = {column.name: words(column.found.cells.header) for column in columns if column.found.kind == "date"}
    if not batches or dates[batches[0]] & _OTHER_DATE_WORDS:
        return ""
    name = batches[0]
    if dates[name] == {"date"} or dates[name] & (_EVENT_WORDS - {"date"}):
        return f"{name} looks like the date of the row's own sale"
    return f"{name} is the only date, so it may be that of the row's own sale" if len(dates) == 1 else ""


def _cleaning(columns: Sequence[Column], aim: Column) -> tuple[dict[str, Bounds], np.ndarray]:
    """The bounds of the target and of numbers with values far from all others, and whether each row is clean."""
    bounds = {aim.name: _target_bounds(aim)}
    numbers = aim.found.numbers
    clean = (numbers >= bounds[aim.name].low) & (numbers <= bounds[aim.name].high)
    least = clean.sum() - MOST_LOST * len(clean) / 2
    for column in columns:
        if column.name != aim.name and column.found.kind == "number" and (found := _far_bounds(column)):
            left = clean & ~(column.found.numbers > found.high)
            if left.sum() >= least:
                bounds[column.name], clean = found, left
    return bounds, clean


def _target_bounds(aim: Column) -> Bounds:
    numbers = aim.found.numbers
    present = numbers[~np.isnan(numbers)]
    above = present[present > 0]
    low, high = np.quantile(above, [TAIL, 1 - TAIL])
    bounds = _rounded(low / WIDENED, floor), _rounded(min(high * WIDENED, np.finfo(float).max / 10), ceil)
    beyond, rows = int(((above < bounds[0]) | (above > bounds[1])).sum()), len(numbers)
    figures = [f"99.8 % of the rows are from {figure(low)} to {figure(high)}, and the bounds are twice as wide"]
    figures += [f"{beyond:,} of {rows:,} rows are beyond them"]
    figures += [f"{n:,} have no number" for n in [rows - len(present)] if n]
    figures += [f"{n:,} are not above 0" for n in [len(present) - len(above)] if n]
    return Bounds(*bounds, "; ".join(figures))


def _far_bounds(column: Column) -> Bounds | None:
    """Bounds for a number without negative values if its largest ones are far above all others."""
    numbers = column.found.numbers[column.found.present]
    low, high = float(numbers.min()), float(np.quantile(numbers, 1 - TAIL))
    if low < 0 or high <= 0 or numbers.max() <= FAR * high:
        return None
    bound = _rounded(FAR * high, ceil)
    beyond = numbers[numbers > bound]
    if not len(beyond):
        return None
    seen = f"above it: {len(beyond):,} of {len(numbers):,}, the highest is {figure(beyond.max())}"
    return Bounds(0.0, bound, f"99.9 % are at most {figure(high)}, and the bound is three times that; {seen}")


def _identity(columns: Sequence[Column]) -> tuple[list[str], str]:
    """The columns that identify one thing, with the reason.

    A value that several rows have is rather that of a thing than one that each row has alone: that may be the sale. All
    rows of a thing must be on the same side of the holdout, and a row alone makes no difference.
    """
    known = [column for column in columns if column.found.present.mean() >= MOSTLY]
    ids = sorted((column for column in known if column.found.is_id), key=lambda column: -_different(column))
    addresses = [column for column in known if column.found.is_address]
    if again := [column for column in ids if _repeated(column)]:
        return [again[0].name], _id_reason(again[0], [*ids, *addresses])
    if addresses:
        places = [column for column in known if words(column.found.cells.header) & _PLACE_WORDS]
        names = [addresses[0].name, *(column.name for column in places if column is not addresses[0])]
        return names, f"an address{' with its place' if places else ''}"
    if ids:
        return [ids[0].name], _id_reason(ids[0], ids)
    return [], "no column identifies a thing: rows with the same values in all inputs are one thing"


def _different(column: Column) -> int:
    """The number of different values."""
    return sum(value is not None for value in column.found.values)


def _repeated(column: Column) -> int:
    """The number of rows whose value another row before has."""
    return int(column.found.present.sum()) - _different(column)


def _id_reason(column: Column, candidates: Sequence[Column]) -> str:
    rows, again = len(column.found.cells.codes), _repeated(column)
    parts = [f"{column.name} has {_different(column):,} different values in {rows:,} rows"]
    if again:
        parts.append(f"{again:,} rows are of a thing that another row has")
    if missing := rows - int(column.found.present.sum()):
        parts.append(f"{missing:,} have no value, and are things of their own")
    if others := [each.name for each in candidates if each is not column]:
        parts.append(f"it could also be {alternatives(others)}")
    return "; ".join(parts)


def _is_slice(column: Column) -> bool:
    found = column.found
    values = len({*found.values} - {None})
    return found.kind in ("category", "boolean") and found.is_feature and 1 < values <= MOST_SLICE_VALUES


def _bands(prices: np.ndarray) -> list[float]:
    """The quartiles of the target, rounded."""
    return sorted({_rounded(each, round) for each in np.quantile(prices, [0.25, 0.5, 0.75])})


def _example(columns: Sequence[Column], clean: np.ndarray) -> dict[str, Value]:
    """The values of the clean row that is nearest to the medians and the most frequent values."""
    distance = np.where(clean, 0.0, np.inf)
    for column in columns:
        distance += _distance(column)
    row = int(distance.argmin())
    values = {column.name: column.found.values[column.found.cells.codes[row]] for column in columns}
    return {name: value for name, value in values.items() if value is not None}


def _distance(column: Column) -> np.ndarray:
    """How untypical each row is: 2 if it has no value, and at most 3."""
    found = column.found
    if found.kind == "number":
        numbers = found.numbers
        low, middle, high = np.nanquantile(numbers, [0.25, 0.5, 0.75])
        spread = high - low or np.nanstd(numbers) or 1.0
        distances: np.ndarray = np.nan_to_num(np.minimum(np.abs(numbers - middle) / spread, 3.0), nan=2.0)
        return distances
    counts = np.where([value is not None for value in found.values], found.cells.counts, 0)
    by_text = np.where(counts == counts.max(), 0.0, 1.0) if found.is_feature else np.zeros(len(counts))
    by_text[[value is None for value in found.values]] = 2.0
    of_rows: np.ndarray = by_text[found.cells.codes]
    return of_rows


def _rounded(number: float, way: Callable[[float], int]) -> float:
    """The number with two significant digits. `way` is floor, ceil or round."""
    digits = _SIGNIFICANT - 1 - floor(log10(number))
    return float(f"{way(round(number * 10.0**digits, 6))}e{-digits}")
