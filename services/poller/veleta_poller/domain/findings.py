"""What is odd about the columns of a batch, in short texts."""

from collections import Counter

from veleta.batches import Rows
from veleta.dataset import Dataset

SHOWN = 5
"""So many names are listed; the rest are counted."""
NAME_SHOWN = 40


def strip_keys(rows: Rows) -> list[str]:
    """Take the spaces around keys away, in place. Where that makes two keys one, the plain key's value stays."""
    collisions: Counter[str] = Counter()
    for index, row in enumerate(rows):
        if all(key == key.strip() for key in row):
            continue
        stripped = {key.strip(): value for key, value in row.items()}
        plain = {key: value for key, value in row.items() if key == key.strip()}
        collisions.update(key.strip() for key in row if key != key.strip() and key.strip() in plain)
        rows[index] = stripped | plain
    return _listed("columns came twice, the name without spaces counts", collisions)


def unexpected(rows: Rows, dataset: Dataset) -> list[str]:
    """How the rows' columns differ from the dataset's: unknown ones, missing ones, another order."""
    declared = dataset.names
    unknown: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    reordered = 0
    for keys, count in Counter(tuple(row) for row in rows).items():
        unknown.update({key: count for key in keys if key not in dataset.by_name})
        missing.update({name: count for name in declared if name not in keys})
        reordered += count if _reordered(keys, declared) else 0
    order = [f"columns in another order ({reordered} rows)"] if reordered else []
    return [*_listed("unknown columns", unknown), *_listed("missing columns", missing), *order]


def unfit(rows: Rows, dataset: Dataset) -> list[str]:
    """Nulls, and values that are none of their column's kind."""
    nulls: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for name, column in dataset.by_name.items():
        values = [row[name] for row in rows if name in row]
        nulls[name] = values.count(None)
        others[name] = [*map(column.convert, values)].count(None) - nulls[name]
    return [*_listed("nulls", +nulls), *_listed("values that do not fit", +others)]


def _reordered(keys: tuple[str, ...], declared: list[str]) -> bool:
    present = set(keys)
    return [key for key in keys if key in declared] != [name for name in declared if name in present]


def _listed(what: str, counts: Counter[str]) -> list[str]:
    if not counts:
        return []
    names = ", ".join(f"{name[:NAME_SHOWN]!r} ({count} rows)" for name, count in counts.most_common(SHOWN))
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    return [f"{what}: {names}{more}"]
