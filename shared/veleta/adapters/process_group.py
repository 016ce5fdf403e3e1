"""Kills a child process with all that it started. It must be the first of a process group: `process_group=0`."""

import contextlib
import os
import shutil
import signal
import time
from asyncio.subprocess import Process
from pathlib import Path

DELETE_ATTEMPTS, DELETE_SECONDS = 20, 0.5
"""How often a folder is deleted, and the pause between two attempts."""


def kill_group(child: Process) -> None:
    """Kill a child process and what it started, which may outlive it: so also if it has ended.

    A Java process that has just started does not notice the end of its driver.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def delete_folder(folder: Path) -> None:
    """Delete the folder of a group that was killed. Its processes may write to it until they have ended. It blocks."""
    for _ in range(DELETE_ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(DELETE_SECONDS)
