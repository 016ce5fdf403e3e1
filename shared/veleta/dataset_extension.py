"""Merges a dataset file with the one that it extends."""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def extended(base: Document, changes: Document) -> str:
    """The text of a dataset file that has all of `base`, with `changes` to it.

    Tables are merged key by key, and columns by their names. Any other value replaces that of `base`, whatever its
    structure: who reads the text checks that. Comments are not kept.
    """
    import tomli_w  # noqa: PLC0415 - few dataset files extend another one

    document = _merged(base, {key: value for key, value in changes.items() if key != "extends"})
    own, inherited = changes.get("columns"), base.get("columns", [])
    if isinstance(own, list):
        document["columns"] = _merged_columns(inherited, own)
    return tomli_w.dumps(document)


def _merged(base: Document, changes: Document) -> dict[str, Any]:
    return {**base, **{key: _replaced(base.get(key), value) for key, value in changes.items()}}


def _replaced(old: Any, new: Any) -> Any:
    return _merged(old, new) if isinstance(old, dict) and isinstance(new, dict) else new


def _merged_columns(inherited: list[Any], own: list[Any]) -> list[Any]:
    """The columns of both, those of the same name merged. What has no name is appended as it is."""
    columns = {column["name"]: column for column in inherited}
    others = []
    for column in own:
        name = column.get("name") if isinstance(column, dict) else None
        if isinstance(name, str):
            columns[name] = _merged(columns.get(name, {}), column)
        else:
            others.append(column)
    return [*columns.values(), *others]
