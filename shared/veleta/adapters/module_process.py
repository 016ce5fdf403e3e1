"""Runs a module in a child process that reports nothing until it ends."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

from veleta.adapters.process_group import kill_group


async def run_module(module: str, *arguments: str, seconds: float) -> tuple[int, str]:
    """Run `python -m module` until it ends: its exit code, and its stderr. A cancellation ends the process.

    What it started ends with it, however it ended.

    Raises:
        TimeoutError: it did not end in time, and was killed.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=DEVNULL, stderr=PIPE, process_group=0
    )
    try:
        async with asyncio.timeout(seconds):
            _, errors = await child.communicate()
    finally:
        kill_group(child)
        await child.wait()
    return await child.wait(), errors.decode(errors="replace").strip()
