"""Runs a module in a child process that reports nothing until it ends."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE


async def run_module(module: str, *arguments: str, seconds: float) -> tuple[int, str]:
    """Run `python -m module` until it ends: its exit code, and its stderr. A cancellation ends the process.

    Raises:
        TimeoutError: it did not end in time, and was killed.
    """
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdout=DEVNULL, stderr=PIPE)
    try:
        async with asyncio.timeout(seconds):
            _, errors = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return await child.wait(), errors.decode(errors="replace").strip()
