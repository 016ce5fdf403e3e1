"""Finds the processes of a run by a mark in their environment: orphans of a killed supervisor too."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK, PART = "VELETA_RUN_HOME", "VELETA_RUN_PART"
_PART = os.fsencode(f"{PART}=")


def of(home: Path, part: str = "") -> list[int]:
    """Ids of this user's processes that were started for this home, or for one part of its run."""
    marks = {os.fsencode(f"{MARK}={home}")} | ({os.fsencode(f"{PART}={part}")} if part else set())
    return [int(found.parent.name) for found in Path("/proc").glob("[0-9]*/environ") if marks <= _environment(found)]


def by_part(home: Path) -> dict[str, list[int]]:
    """The same by the part that each is of, in one look; supervisord is of none."""
    found: dict[str, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        environment = _environment(path)
        if os.fsencode(f"{MARK}={home}") in environment:
            parts = [each.removeprefix(_PART) for each in environment if each.startswith(_PART)]
            found.setdefault(os.fsdecode(parts[0]) if parts else "", []).append(int(path.parent.name))
    return found


def end(home: Path, patience: float = 30) -> None:
    """Ask them all to end, then end what has not; returns when none is left."""
    found = of(home)
    _signal(found, signal.SIGTERM)
    until = time.monotonic() + patience
    while left := of(home):
        if time.monotonic() > until:
            _signal(left, signal.SIGKILL)
        time.sleep(0.1)
    _let_go(found)


def end_part(home: Path, part: str) -> None:
    """Kill the processes of a part but for this one, and return when they are gone."""
    left = [pid for pid in of(home, part) if pid != os.getpid()]
    _signal(left, signal.SIGKILL)
    _let_go(left)


def _let_go(pids: list[int], patience: float = 3) -> None:
    """Wait until the system forgets them; not for ever, since in a container nobody may collect the dead."""
    until = time.monotonic() + patience
    while time.monotonic() < until and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.05)


def _environment(path: Path) -> set[bytes]:
    with suppress(OSError):  # somebody else's, or gone by now
        return set(path.read_bytes().split(b"\0"))
    return set()


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
