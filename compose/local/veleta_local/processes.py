"""Finds and ends the processes of a run by a mark in their environment, also after supervisord was killed."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

HOME_MARK, PART_MARK = "VELETA_RUN_HOME", "VELETA_RUN_PART"
SUPERVISORD = ""
"""The name under which `by_part` has supervisord, which belongs to no part."""
START_MARK = '{"event": "process started",'
"""The beginning of `start_mark`."""


def start_mark(part: str, pid: int) -> str:
    """The line of a part's log before the output of a process."""
    now = datetime.now(UTC).isoformat()
    return f'{START_MARK} "service": "{part}", "pid": {pid}, "level": "info", "timestamp": "{now}"}}'


def by_part(home: Path) -> dict[str, list[psutil.Process]]:
    """The processes of the run with this home, by part, and supervisord.

    Any process can have the mark, and root sees all of them. So a process counts only if its account is the caller's or
    that of the home's owner. It must also see the same processes and files, which one in a container does not.
    """
    processes = defaultdict(list)
    owners, view = _owners(home), _view_of("self")
    for process in psutil.process_iter(["environ"]):
        environment = process.info["environ"] or {}  # none for the processes of other users
        if environment.get(HOME_MARK) != str(home):
            continue
        with suppress(psutil.NoSuchProcess, OSError):  # it has ended by now
            if process.uids().real in owners and _view_of(process.pid) == view:
                processes[environment.get(PART_MARK, SUPERVISORD)].append(process)
    return processes


def of_run(home: Path) -> list[psutil.Process]:
    """All processes of the run."""
    return [process for processes in by_part(home).values() for process in processes]


def end_run(home: Path, timeout: float = 30) -> None:
    """Terminate all processes, kill those that run after `timeout` seconds, and return when none is left."""
    processes = of_run(home)
    _signal(processes, psutil.Process.terminate)
    deadline = time.monotonic() + timeout
    while running := of_run(home):
        if time.monotonic() > deadline:
            _signal(running, psutil.Process.kill)
        time.sleep(0.1)
    _wait_until_reaped(processes)


def kill_part(home: Path, part: str) -> None:
    """Kill the processes of a part except this one, and return when they have ended."""
    processes = [process for process in by_part(home).get(part, []) if process.pid != os.getpid()]
    _signal(processes, psutil.Process.kill)
    _wait_until_reaped(processes)


def _owners(home: Path) -> set[int]:
    """The accounts whose processes belong to the run."""
    with suppress(FileNotFoundError):
        return {os.getuid(), home.stat().st_uid}
    return {os.getuid()}


def _view_of(process: int | str) -> list[tuple[int, int]]:
    """What a process sees: its namespace of processes and its root folder."""
    seen = [Path(f"/proc/{process}/{name}").stat() for name in ("ns/pid", "root")]
    return [(each.st_dev, each.st_ino) for each in seen]


def _signal(processes: Iterable[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            send(process)


def _wait_until_reaped(processes: Iterable[psutil.Process], timeout: float = 3) -> None:
    """The time is limited: in a container it is possible that no process reaps the dead ones."""
    psutil.wait_procs(processes, timeout)
