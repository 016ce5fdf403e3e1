"""The state of each part of a run, as a table and as JSON."""

import json

from veleta_local.run import Run
from veleta_local.text import aligned

_COLUMNS = {"part": "part", "state": "state", "pid": "pid", "ready": "ready", "url": "address", "doing": "doing"}


def rows(run: Run) -> list[dict[str, object]]:
    """One row for each part. Parts without a process are not ready, and are not requested."""
    states = run.states()
    running = [part for part in run.parts if states[part].up]
    health = run.health(running) if running else {}
    return [
        {
            "part": part,
            "state": states[part].name.lower(),
            "pid": states[part].pid or None,
            "ready": part in health and health[part].ready,
            "doing": str(health[part]) if part in health else "",
            "url": run.url(part).removeprefix("http://" if part in ("kafka", "mysql") else ""),
        }
        for part in run.parts
    ]


def as_json(run: Run) -> str:
    """The rows for programs."""
    parts = rows(run)
    return json.dumps({"ready": all(row["ready"] for row in parts), "parts": parts}, indent=2)


def as_table(run: Run) -> str:
    """The rows for people."""
    cells = [[_cell(row[name]) for name in _COLUMNS] for row in rows(run)]
    return "\n".join(aligned([list(_COLUMNS.values()), *cells]))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
