"""The README's table of what make can be told."""

import re

from support.house import ROOT
from veleta_local.variables import RULES

README = ROOT / "README.md"
_TABLE = re.compile(r"(?<=\| variable \| default \| meaning \|\n\|---\|---\|---\|\n)(\|.*\n)+")


def readme(text: str) -> str:
    """The README with the table as the code says it."""
    rows = "".join(f"| `{name}` | {rule.default} | {rule.meaning} |\n" for name, rule in RULES.items())
    return _TABLE.sub(lambda _: rows, text)
