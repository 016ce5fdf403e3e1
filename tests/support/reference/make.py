"""The table of docs/reference/make.md, from the Makefile: `target: ... ## what it does; VARIABLE OTHER`."""

import re
from dataclasses import dataclass

from support.reference.tables import table
from support.repository import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
_TARGET = re.compile(r"^([a-z-]+):[^#\n]*## ([^|\n]*?)(?: \| ([A-Z_ ]+))?$", re.MULTILINE)
_START = re.search(r"^START_VARIABLES := (.+)$", MAKEFILE, re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A target with its description and the variables that it reads."""

    name: str
    does: str
    variables: tuple[str, ...]


def targets() -> list[Target]:
    """All targets that `make help` lists."""
    return [Target(name, does, _variables(words)) for name, does, words in _TARGET.findall(MAKEFILE)]


def start_variables() -> tuple[str, ...]:
    """The variables of a start."""
    assert _START
    return tuple(_START[1].split())


def make_targets() -> str:
    """Each target, what it does, and its variables."""
    rows = ((f"`make {t.name}`", t.does, _cell(t.variables)) for t in targets())
    return table(("target", "does", "variables"), rows)


def _variables(words: str) -> tuple[str, ...]:
    return start_variables() if words == "START_VARIABLES" else tuple(words.split())


def _cell(variables: tuple[str, ...]) -> str:
    if variables == start_variables():
        return "[the variables of a start](configuration.md#variables-of-a-start)"
    return ", ".join(f"`{name}`" for name in variables)
