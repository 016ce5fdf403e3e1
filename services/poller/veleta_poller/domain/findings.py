"""Findings about the columns and values of a batch, as short texts for the manifest."""

from collections import Counter

import orjson

from veleta.batches import Rows
from veleta.column_names import match_columns
from veleta.dataset import Dataset

MAX_NAMES = 5
"""How many column names a finding lists. The others are counted."""
MAX_NAME_LENGTH = 40


def strip_column_names(rows: Rows) -> list[str]:
    """Strip spaces around column names, in place. If a row has a name with and without spaces, the latter counts."""
    duplicates: Counter[str] = Counter()
    for index, row in enumerate(rows):
        if all(key == key.strip() for key in row):
            continue
        stripped = {key.strip(): value for key, value in row.items()}
        plain = {key: value for key, value in row.items() if key == key.strip()}
        duplicates.update(key.strip() for key in row if key != key.strip() and key.strip() in plain)
        rows[index] = stripped | plain
    return _list_columns("columns came twice, the name without spaces counts", duplicates)


def match_column_names(rows: Rows, dataset: Dataset) -> list[str]:
    """Give a column its declared name, in place, if a row has it under another one: `zipCode` becomes `zip_code`.

    A name is left as it is if the row also has the declared name, or if two names match the column.
    """
    renamed: Counter[str] = Counter()
    plans: dict[tuple[str, ...], dict[str, str]] = {}
    for index, row in enumerate(rows):
        names = tuple(row)
        if names not in plans:
            plans[names] = _renaming(names, dataset)
        if plan := plans[names]:
            rows[index] = {plan.get(name, name): value for name, value in row.items()}
            renamed.update(f"{name} -> {plan[name]}" for name in plan)
    return _list_columns("columns renamed", renamed)


def schema_findings(rows: Rows, dataset: Dataset) -> list[str]:
    """How the rows' columns differ from the dataset's: unknown, missing, or in another order."""
    declared = dataset.names
    unknown: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    reordered = 0
    for keys, count in Counter(tuple(row) for row in rows).items():
        unknown.update({key: count for key in keys if key not in dataset.by_name})
        missing.update({name: count for name in declared if name not in keys})
        reordered += count if _is_reordered(keys, declared) else 0
    order = [f"columns in another order ({reordered} rows)"] if reordered else []
    return [*_list_columns("unknown columns", unknown), *_list_columns("missing columns", missing), *order]


def value_findings(rows: Rows, dataset: Dataset) -> list[str]:
    """Missing values of columns that are not optional, values that do not fit their column, and those beyond bounds."""
    nulls: Counter[str] = Counter()
    invalid: Counter[str] = Counter()
    beyond: Counter[str] = Counter()
    for name, column in dataset.by_name.items():
        received = [row[name] for row in rows if name in row]
        values = [*map(column.convert, received)]
        missing = sum(map(column.says_missing, received)) if column.missing else received.count(None)
        nulls[name] = 0 if column.optional else missing
        invalid[name] = values.count(None) - missing
        beyond[name] = sum(column.fault(value) is not None for value in values)
    return [
        *_list_columns("nulls", +nulls),
        *_list_columns("values that do not fit", +invalid),
        *_list_columns("values beyond their bounds", +beyond),
    ]


def repeated_rows(rows: Rows) -> list[str]:
    """The number of rows that are equal to an earlier row of the batch. The rows can be written as JSON."""
    different = {hash(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)) for row in rows}
    repeated = len(rows) - len(different)
    return [f"repeated rows: {repeated} of {len(rows)} rows are equal to an earlier one"] if repeated else []


def group_finding(before: int | None, group: int, rows: int) -> list[str]:
    """Whether the batch is of another group than the one before, whose group may be unknown."""
    if before in (None, group):
        return []
    return [f"another group: {group}, and the batch before is of group {before} ({rows} rows)"]


def _renaming(names: tuple[str, ...], dataset: Dataset) -> dict[str, str]:
    """The declared name of each received name that differs from it."""
    matches = match_columns(dataset, names).items()
    return {names[places[0]]: column for column, places in matches if column not in names and len(places) == 1}


def _is_reordered(keys: tuple[str, ...], declared: list[str]) -> bool:
    present = set(keys)
    return [key for key in keys if key in declared] != [name for name in declared if name in present]


def _list_columns(finding: str, counts: Counter[str]) -> list[str]:
    if not counts:
        return []
    names = ", ".join(f"{name[:MAX_NAME_LENGTH]!r} ({n} rows)" for name, n in counts.most_common(MAX_NAMES))
    more = f" and {len(counts) - MAX_NAMES} more" if len(counts) > MAX_NAMES else ""
    return [f"{finding}: {names}{more}"]
