"""Tables for people, which open them in a spreadsheet."""

from pathlib import Path

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""The beginnings of a cell that a spreadsheet computes, by OWASP's list."""


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV file. A text is text in a spreadsheet too, also one that begins like a formula."""
    table.astype(dict.fromkeys(table.columns, object)).map(_quoted).to_csv(path, index=False)


def _quoted(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
