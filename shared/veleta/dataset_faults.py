"""The rules that the parts of a dataset file must follow together: one line for each fault.

The file of a start must follow them. A declared file may be older than a rule, so reading it does not check them.
"""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from veleta.feature_faults import feature_faults
from veleta.toml_document import place, shown
from veleta.valid_values import did_you_mean, repeated, unknown
from veleta.values import parse_date_as

if TYPE_CHECKING:
    from veleta.dataset import BatchRule, Column, Condition, Dataset

RESERVED = {
    "epoch", "number", "row_no", "rest", "request_id", "item", "client_request_id", "received_at", "answered_at",
    "prediction", "low", "high", "model_version", "latency_ms", "http_status", "key_name", "client_address", "answer",
    "coverage",
    "previous", "compared_at", "retrain",
}  # fmt: skip
"""Names of the tables' own columns (names.md, Tables)."""
RESERVED_IN_MARKET = {"as_of", "level_seq", "market_level"}
"""Names of the columns that a dataset with a market has in addition."""
MAX_BYTES = 65_535
"""The most bytes of a dataset file: the width of its column in MySQL."""
MAX_DIGITS = 15
"""The most digits of a whole number that a float holds exactly."""
_WANTED = {
    "number": "a number, as 4 or 0.5",
    "identifier": "a number, as 6016",
    "category": "a text of 1 to 255 characters in quotes",
    "date": 'a date, as "1999-09-30"',
    "boolean": "true or false",
}
"""By kind of column: the words for its values."""


def consistency_faults(dataset: "Dataset", declared: Sequence[str], broken: Container[str]) -> Iterator[str]:
    """A line for each fault.

    `dataset` has the valid parts of a file, `declared` the names of all its columns. `broken` has the keys of the
    file's first level whose structure has a fault, so nothing is said about what may be missing there.
    """
    yield from _missing_parts(dataset, declared, broken)
    yield from _column_faults(dataset, declared)
    yield from _target_faults(dataset, declared)
    yield from _identity_faults(dataset, declared)
    yield from _cleaning_faults(dataset, declared)
    yield from feature_faults(dataset, declared)
    yield from _drift_faults(dataset, declared)
    yield from _example_faults(dataset, declared)
    yield from _rule_faults(dataset, declared)
    yield from _batches_faults(dataset, declared)
    yield from _market_faults(dataset, declared)
    if len(dataset.text.encode()) > MAX_BYTES:
        yield f"the file has {len(dataset.text.encode()):,} bytes: use at most {MAX_BYTES:,}"


def declared_names(document: Mapping[str, Any]) -> list[str]:
    """The names of all columns of a dataset file, also of those that have a fault."""
    tables = document.get("columns")
    columns = [each for each in tables if isinstance(each, dict)] if isinstance(tables, list) else []
    return [name for column in columns if isinstance(name := column.get("name"), str)]


def _missing_parts(dataset: "Dataset", declared: Sequence[str], broken: Container[str]) -> Iterator[str]:
    target = dataset.by_name.get(dataset.target)
    if "title" not in broken and not dataset.title.strip():
        yield "title is empty: use words for people"
    if "cleaning" not in broken and target and target.kind == "number" and target.name not in dataset.cleaning:
        yield f"[cleaning] {target.name} is missing: use [lowest, highest] above 0, because its logarithm is fitted"
    if "source" not in broken:
        places = {rule.place for rule in dataset.source}
        gaps = sorted(set(range(max(places, default=0))) - places)
        yield from (f"[[source]] place = {gap} is missing: number the rules from 0 without gaps" for gap in gaps[:1])
    if "columns" in broken:
        return
    if not declared:
        yield "columns is empty: declare each column of the data"
    elif not any(column.is_feature for column in dataset.inputs):
        yield "no column is left for the model: declare a number, a category or a date beside the target"
    elif not dataset.drift_columns and "drift" not in broken:
        yield "[drift] ignore leaves no number to compare: remove one"


def _column_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    yield from (f"column {name}: declared twice: remove one" for name in repeated(declared))
    yield from (f"column {name}: the name is reserved: use another" for name in declared if name in RESERVED)
    for column in dataset.columns:
        yield from (f"column {column.name}: {fault}" for fault in _faults_of_column(column))


def _faults_of_column(column: "Column") -> Iterator[str]:
    if not column.title.strip():
        yield "title is empty: use words for people"
    if column.minimum is not None and not column.numeric:
        yield f"minimum = {column.minimum:.15g} is for numbers, and its kind is {column.kind}: remove it"
    if column.minimum is not None and not math.isfinite(column.minimum):
        yield f"minimum = {column.minimum:.15g}: use a finite number"
    yield from _faults_of_bounds(column)
    yield from _faults_of_format(column)
    settings = [f"{key} = {value}" for key in ("digits", "prefix") if (value := getattr(column, key))]
    if column.kind != "identifier":
        if settings or column.feature == "prefix":
            named = [*settings, *(['feature = "prefix"'] if column.feature == "prefix" else [])]
            yield f"{' and '.join(named)} is for identifiers, and its kind is {column.kind}: remove it"
        return
    if not 0 <= column.digits <= MAX_DIGITS:
        yield f"digits = {column.digits}: use 1 to {MAX_DIGITS}"
    elif column.feature == "prefix" and not 1 <= column.prefix <= column.digits:
        yield f'prefix = {column.prefix}, digits = {column.digits}: feature = "prefix" needs 1 <= prefix <= digits'
    elif column.prefix and column.feature != "prefix":
        yield f'prefix = {column.prefix} has no effect: add feature = "prefix", or remove it'


def _faults_of_bounds(column: "Column") -> Iterator[str]:
    if column.bounds and column.kind != "date":
        yield f"bounds are for dates, and its kind is {column.kind}: remove them; [cleaning] has those of numbers"
    if column.bounds and column.bounds[0] > column.bounds[1]:
        yield f"bounds = [{column.bounds[0]}, {column.bounds[1]}]: use [earliest, latest]"


def _faults_of_format(column: "Column") -> Iterator[str]:
    if not column.format:
        return
    seen, day = f'format = "{column.format}"', date(2001, 2, 3)
    if column.kind != "date":
        yield f"{seen} is for dates, and its kind is {column.kind}: remove it"
    elif parse_date_as(day.strftime(column.format), column.format) not in (day, day.replace(day=1)):
        yield f'{seen} reads no date: use %Y, %m and %d in the order of the file, as "%d/%m/%Y"'
    elif parse_date_as(day.isoformat(), column.format) != day:
        yield f"{seen} reads {day.isoformat()} as another day: batches have dates in that form; use another separator"


def _target_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    target = dataset.target
    if not target:
        return
    if target not in declared:
        yield f'target = "{target}" is no column: {did_you_mean(target, declared)}'
        return
    column = dataset.by_name.get(target)
    if column and column.kind != "number":
        yield f'target = "{target}": its kind is {column.kind}: use a column with kind = "number"'
    if column and column.optional:
        yield f"column {target}: optional = true, and it is the target: remove it, because each row needs a {target}"
    if target in dataset.identity:
        yield f"identity: {target} is the target: name the columns that identify one thing"
    if dataset.cleaning.get(target, (1.0, 1.0))[0] <= 0:
        seen = f"[cleaning] {target} = {_bounds(dataset, target)}"
        yield f"{seen}: use bounds above 0 for the target, because its logarithm is fitted"


def _identity_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    yield from unknown("identity:", dataset.identity, declared)
    yield from (f"identity: {name} is there twice: remove one" for name in repeated(dataset.identity))


def _cleaning_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    yield from unknown("[cleaning]", dataset.cleaning, declared)
    for name, (low, high) in dataset.cleaning.items():
        seen = f"[cleaning] {name} = {_bounds(dataset, name)}"
        column = dataset.by_name.get(name)
        if not (math.isfinite(low) and math.isfinite(high)):
            yield f"{seen}: use finite numbers"
        elif low > high or (low == high and name == dataset.target):
            yield f"{seen}: use [lowest, highest]"
        elif column and not column.numeric:
            yield f"{seen}: bounds are for numbers, and its kind is {column.kind}: remove it"
        elif column and column.minimum is not None and high < column.minimum:
            yield f"{seen}: minimum = {column.minimum:.15g} is above it, so no row is clean"


def _drift_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    yield from unknown("[drift] ignore:", dataset.drift.ignore, declared)
    yield from (f"[drift] ignore: {name} is there twice: remove one" for name in repeated(dataset.drift.ignore))


def _example_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    yield from unknown("[example]", dataset.example, declared)
    for column in dataset.columns:
        if column.name not in dataset.example:
            if column.optional:
                continue
            yield f"[example] {column.name} is missing: use {_WANTED[column.kind]}"
        elif fault := _example_fault(dataset, column, dataset.example[column.name]):
            yield f"[example] {column.name} = {shown(dataset.example[column.name])}: {fault}"


def _example_fault(dataset: "Dataset", column: "Column", received: object) -> str | None:
    value = column.convert(received)
    if value is None or value == "":
        return f"use {_WANTED[column.kind]}"
    if not isinstance(value, float):
        return f"it is {fault}: use a date within" if (fault := column.fault(value)) else None
    low, high = dataset.cleaning.get(column.name, (-math.inf, math.inf))
    if column.minimum is not None and value < column.minimum:
        return f"it is below minimum = {column.minimum:.15g}: use a higher value"
    if low <= high and not low <= value <= high:
        return f"[cleaning] allows {_bounds(dataset, column.name)}: use a value within"
    if column.digits and not 0 <= value < 10**column.digits:
        return f"digits is {column.digits}: use at most {column.digits} digits"
    return None


def _rule_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    places = [rule.place for rule in dataset.source]
    yield from (f"[[source]] place = {each}: use 0, 1, 2 and so on" for each in places if each < 0)
    yield from (
        f"[[source]] place = {each} is there twice: give each rule its own" for each in repeated(map(str, places))
    )
    for number, rule in enumerate(dataset.source):
        where = place({"source": [{"place": r.place} for r in dataset.source]}, ("source", number))
        if not rule.where and number + 1 < len(dataset.source):
            yield f"{where}: where is empty, which takes every row: move it to the end"
        for condition in rule.where:
            yield from (f"{where}: {fault}" for fault in _condition_faults(dataset, condition, declared))
        yield from (f"{where}: {fault}" for fault in _impossible(rule))


def _batches_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    rule = dataset.batches
    if dataset.source and rule.model_fields_set:
        yield "[batches] and [[source]] both divide the rows into batches: remove one of them"
    if rule.rows is not None and rule.by is not None:
        yield f'[batches] rows = {rule.rows} and by = "{rule.by}": use one of them'
    if rule.by is None and "every" in rule.model_fields_set:
        yield f'[batches] every = "{rule.every}" has no effect: add by, the column with the dates'
    if rule.by is not None:
        yield from unknown("[batches] by:", [rule.by], declared)
        column = dataset.by_name.get(rule.by)
        if column and column.kind != "date":
            yield f'[batches] by = "{rule.by}": its kind is {column.kind}: use a column with kind = "date"'
        if column and column.optional:
            yield f'[batches] by = "{rule.by}": it is optional: use a date that each row has'


def _market_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    if dataset.market is None:
        return
    name = dataset.market.time
    yield from unknown("[market] time:", [name], declared)
    yield from (f"column {each}: the name is reserved: use another" for each in declared if each in RESERVED_IN_MARKET)
    column = dataset.by_name.get(name)
    if column is None:
        return
    if column.kind != "date":
        yield f'[market] time = "{name}": its kind is {column.kind}: use a column with kind = "date"'
    if column.optional:
        yield f'[market] time = "{name}": it is optional: use a date that each row has'
    if column.is_feature:
        yield f'[market] time = "{name}": the model must not learn it: add feature = "none" to the column'


def _condition_faults(dataset: "Dataset", condition: "Condition", declared: Sequence[str]) -> Iterator[str]:
    name = condition.column
    yield from unknown("where", [name], declared)
    tests = {key: value for key in ("equals", "above", "at_most") if (value := getattr(condition, key)) is not None}
    if len(tests) != 1:
        yield f"the condition of {name} has {len(tests) or 'no'} tests: use one of equals, above or at_most in each"
    column = dataset.by_name.get(name)
    for key, value in tests.items() if column else ():
        assert column is not None  # noqa: S101 - there are no tests without it
        if key == "equals" and column.kind != "category":
            yield f"{name} {key} {shown(value)}: {key} is for categories, and its kind is {column.kind}"
        elif key == "equals" and column.convert(value) != value:
            yield f"{name} {key} {shown(value)}: rows have {shown(column.convert(value))} instead: use that"
        if key != "equals" and not column.numeric:
            yield f"{name} {key} {shown(value)}: {key} is for numbers, and its kind is {column.kind}"
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{name} {key} {value:.15g}: use a finite number"


def _impossible(rule: "BatchRule") -> Iterator[str]:
    """A fault for each column whose conditions no value meets."""
    for name in dict.fromkeys(condition.column for condition in rule.where):
        same = [condition for condition in rule.where if condition.column == name]
        above = max((c.above for c in same if c.above is not None), default=-math.inf)
        at_most = min((c.at_most for c in same if c.at_most is not None), default=math.inf)
        equals = {c.equals for c in same if c.equals is not None}
        if above >= at_most:
            yield f"{name} above {above:.15g} and at_most {at_most:.15g}: no row has both"
        if len(equals) > 1:
            yield f"{name} equals {' and '.join(map(repr, sorted(equals)))}: no row has both"


def _bounds(dataset: "Dataset", name: str) -> str:
    low, high = dataset.cleaning[name]
    return f"[{low:.15g}, {high:.15g}]"
