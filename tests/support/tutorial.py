"""Reads the steps of docs/tutorial.md, and compares an output with the one that the page shows.

A `console` block has commands, each with its output. A command begins with `$ `; one with `<<EOF` goes on to `EOF`. A
block with the title "terminal 1" has lines of the first command, which has its own terminal; `^C` there is Ctrl-C.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from support.repository import ROOT

TUTORIAL = ROOT / "docs/tutorial.md"
_BLOCK = re.compile(r"^```console( title=\"terminal 1\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(?=[a-f]*\d)[0-9a-f]{32}\b|(?:(?<!\w)-)?\d[\d.,:-]*"
)
"""Ids, times and numbers."""
LEFT_OUT = "…"


@dataclass
class Step:
    """A command with its output; a step of terminal 1 has no command, or `^C`."""

    terminal: int
    command: str = ""
    output: list[str] = field(default_factory=list)


def steps() -> list[Step]:
    """All steps, in the order of the page."""
    return [step for match in _BLOCK.finditer(TUTORIAL.read_text()) for step in _steps(bool(match[1]), match[2])]


def _steps(first_terminal: bool, block: str) -> Iterator[Step]:
    step = Step(1 if first_terminal else 2)
    for line in block.splitlines():
        if line.startswith(("$ ", "^C")):
            if step.command or step.output:
                yield step
            step = Step(step.terminal, line.removeprefix("$ "))
        elif "<<EOF" in step.command and not step.command.endswith("\nEOF"):
            step.command += f"\n{line}"
        else:
            step.output.append(line)
    yield step


def matches(shown: Sequence[str], output: str) -> bool:
    """Whether an output is the one that the page shows, apart from ids, times and numbers."""
    lines = [_normal(line) for line in shown]
    pattern = "".join(r"(?:.*\n)*" if line == LEFT_OUT else f"{_pattern(line)}\n" for line in lines)
    return bool(re.fullmatch(pattern, "".join(f"{_normal(line)}\n" for line in output.splitlines())))


def lines_missing(shown: Sequence[str], output: str) -> list[str]:
    """The lines of the page that are nowhere in an output, whatever their order."""
    lines = [_normal(line) for line in output.splitlines()]
    return [
        line
        for line in shown
        if line not in ("", LEFT_OUT) and not any(re.fullmatch(_pattern(_normal(line)), each) for each in lines)
    ]


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(LEFT_OUT))


def _normal(line: str) -> str:
    """Without the values that differ from run to run, and with one space for many."""
    return " ".join(_VARYING.sub("0", line).split())
