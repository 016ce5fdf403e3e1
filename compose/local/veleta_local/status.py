"""The state of each part of a run, as a table and as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from veleta_local.run import Run
from veleta_local.text import aligned

_COLUMNS = {
    "part": "part",
    "state": "state",
    "pid": "pid",
    "restarts": "restarts",
    "ready": "ready",
    "url": "address",
    "doing": "doing",
}

_WITHOUT_PROCESS = {"BACKOFF": "ended; it is started again"}
"""What a part does that has no process."""


def rows(run: Run) -> list[dict[str, Any]]:
    """One row for each part. Parts without a process are not ready, and are not requested.

    It takes about 3 s at most, and 6 s if supervisord does not answer.
    """
    states, attempts = run.states(), run.attempts.by_part()
    running = [part for part in run.parts if states[part].pid]
    health = run.health(running) if running else {}
    return [
        {
            "part": part,
            "state": states[part].name.lower(),
            "pid": states[part].pid or None,
            "restarts": max(0, len(attempts[part]) - 1),
            "ready": part in health and health[part].ready,
            "doing": str(health[part]) if part in health else _WITHOUT_PROCESS.get(states[part].name, ""),
            "warnings": [*health[part].warnings.values()] if part in health else [],
            "url": run.url(part).removeprefix("http://" if part in ("kafka", "mysql") else ""),
            "error": run.attempts.last_error(part, attempts[part]),
        }
        for part in run.parts
    ]


def as_json(run: Run) -> str:
    """The rows for programs."""
    parts = rows(run)
    return json.dumps({"ready": all(row["ready"] for row in parts), "parts": parts}, indent=2)


def as_table(run: Run) -> str:
    """The rows for people, and the last error of each part below them."""
    parts = rows(run)
    table = aligned([list(_COLUMNS.values()), *([_cell(row[name]) for name in _COLUMNS] for row in parts)])
    return "\n".join([*table, *_errors(parts)])


def _errors(parts: Sequence[dict[str, Any]]) -> list[str]:
    cells = [[f"  {row['part']}", row["error"]] for row in parts if row["error"]]
    return ["", "last errors", *aligned(cells)] if cells else []


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
