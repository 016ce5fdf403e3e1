"""Merges a dataset file with the one that it extends."""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def extended(base: Document, changes: Document) -> str:
    """The text of a dataset file that has all of `base`, with `changes` to it.

    Tables are merged key by key, and columns by their names. Any other value replaces that of `base`. Comments are not
    kept.
    """
    import tomli_w  # noqa: PLC0415 - few dataset files extend another one

    document = _merged(base, {key: value for key, value in changes.items() if key != "extends"})
    columns = {column["name"]: column for column in base.get("columns", ())}
    for column in changes.get("columns", ()):
        columns[column.get("name")] = _merged(columns.get(column.get("name"), {}), column)
    return tomli_w.dumps({**document, "columns": list(columns.values())})


def _merged(base: Document, changes: Document) -> dict[str, Any]:
    tables = {key: _merged(base.get(key, {}), value) for key, value in changes.items() if isinstance(value, dict)}
    return {**base, **changes, **tables}
