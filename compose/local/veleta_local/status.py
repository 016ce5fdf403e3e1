"""What each part of a run does, for people and as JSON."""

import json

from veleta_local.run import Run


def rows(run: Run) -> list[dict[str, object]]:
    """One row per part; parts without a process are not asked."""
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
    """The rows, for programs."""
    found = rows(run)
    return json.dumps({"ready": all(row["ready"] for row in found), "parts": found}, indent=2)


def as_table(run: Run) -> str:
    """The rows, for people."""
    lines = [("part", "state", "pid", "ready", "address", "doing")]
    for row in rows(run):
        ready = "yes" if row["ready"] else "no"
        lines.append(
            (str(row["part"]), str(row["state"]), str(row["pid"] or "-"), ready, str(row["url"]), str(row["doing"]))
        )
    return "\n".join(
        f"{part:<10} {state:<9} {pid:<8} {ready:<6} {url:<23} {doing}".rstrip()
        for part, state, pid, ready, url, doing in lines
    )
