"""Finds the line of a program's output that gives the reason why it ended. No I/O."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

_MAX = 300
"""Characters of a reason."""
_GROUP_PREFIX = re.compile(r"^\s*\| ")
"""Before each line of a traceback within an exception group."""
_TRACEBACK = "Traceback (most recent call last):"
_STOP = re.compile(r"^[a-z_]+: \S")
"""The last line of a service that ends itself: its name and the reason."""
_ERROR = re.compile(r"\[ERROR\]\s*|\bERROR[: ]\s*|\bFATAL[: ]\s*")
_JAVA_EXCEPTION = re.compile(r"^[\w.$]+(Exception|Error)\b")


def reason_of(output: str) -> str:
    """The reason, in one line; empty if the output has none.

    It is a service's last line (`loader: reason`), the last line of a Python traceback, the first error of Kafka,
    MariaDB, MLflow or Maven, or the last line that is not JSON.
    """
    lines = [_GROUP_PREFIX.sub("", line).rstrip() for line in output.splitlines() if not line.startswith("{")]
    lines = [line for line in lines if line.strip()]
    if lines and _STOP.match(lines[-1]):
        reason = lines[-1]
    else:
        reason = _exception(lines) or _first_error(lines) or (lines[-1] if lines else last_logged_error(output))
    return _short(reason)


def last_logged_error(output: str) -> str:
    """The last error in the JSON log of a service; empty if there is none."""
    errors = [entry for entry in _entries(output) if entry.get("level") in ("error", "critical")]
    return _short(_text(errors[-1])) if errors else ""


def _exception(lines: Sequence[str]) -> str:
    """The exception of the last Python traceback."""
    starts = [number for number, line in enumerate(lines) if line.lstrip(" +").endswith(_TRACEBACK)]
    return next((line for line in lines[starts[-1] + 1 :] if not line.startswith(" ")), "") if starts else ""


def _first_error(lines: Sequence[str]) -> str:
    """The first line with the level ERROR, or the Java exception in the line after it."""
    for line, following in pairwise([*lines, ""]):
        if found := _ERROR.search(line):
            return following if _JAVA_EXCEPTION.match(following) else line[found.end() :]
    return ""


def _entries(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            yield entry


def _text(entry: dict[str, Any]) -> str:
    """The event with its reason, or with the exception that was logged with it."""
    raised = [f"{each.get('exc_type')}: {each.get('exc_value')}" for each in entry.get("exception") or ()][:1]
    reasons = [entry[name] for name in ("reason", "error") if entry.get(name)]
    return ": ".join(map(str, [entry.get("event", "error"), *(reasons or raised)]))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX else f"{line[:_MAX]}…"
