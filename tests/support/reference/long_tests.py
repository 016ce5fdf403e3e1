"""The table of docs/how-to/test.md: what each file of tests/soak tests."""

import ast
from pathlib import Path

from support.reference.tables import table
from support.repository import ROOT


def long_tests() -> str:
    """Each file with the first line of its docstring."""
    paths = sorted((ROOT / "tests/soak").glob("test_*.py"))
    return table(("file", "what it tests"), ((f"`tests/soak/{path.name}`", _first_line(path)) for path in paths))


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
