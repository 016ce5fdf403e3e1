"""Runs a module in a child process that reports nothing until it ends."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE


async def run_module(module: str, *arguments: str, seconds: float, with_children: bool = False) -> tuple[int, str]:
    """Run `python -m module` until it ends: its exit code, and its stderr. A cancellation ends the process.

    `with_children` ends the processes that it started too, however it ended. They are then a process group of their
    own, which a kill of this process with its group spares.

    Raises:
        TimeoutError: it did not end in time, and was killed.
    """
    group = 0 if with_children else None
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=DEVNULL, stderr=PIPE, process_group=group
    )
    try:
        async with asyncio.timeout(seconds):
            _, errors = await child.communicate()
    finally:
        if with_children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        elif child.returncode is None:
            child.kill()
        await child.wait()
    return await child.wait(), errors.decode(errors="replace").strip()
