"""Finds the processes of a run by a mark in their environment: orphans of a killed supervisor too."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = "VELETA_RUN_HOME"


def of(home: Path) -> list[int]:
    """Ids of this user's processes that were started for this home."""
    mark = os.fsencode(f"{MARK}={home}")
    return [int(found.parent.name) for found in Path("/proc").glob("[0-9]*/environ") if mark in _environment(found)]


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


def _let_go(pids: list[int], patience: float = 3) -> None:
    """Wait until the system forgets them; not for ever, since in a container nobody may collect the dead."""
    until = time.monotonic() + patience
    while time.monotonic() < until and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.05)


def _environment(path: Path) -> list[bytes]:
    with suppress(OSError):  # somebody else's, or gone by now
        return path.read_bytes().split(b"\0")
    return []


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
