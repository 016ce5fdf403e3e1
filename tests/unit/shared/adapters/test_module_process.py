"""Child processes that run a module. The standard module `timeit` runs any statement."""

import asyncio
from contextlib import suppress

import psutil
import pytest

from veleta.adapters.module_process import run_module

SECONDS = 60
LEAVES_A_PROCESS = "import subprocess; subprocess.Popen(['sleep', '{seconds}'], stderr=subprocess.DEVNULL)"


def sleeping(seconds: str) -> list[psutil.Process]:
    """The processes that sleep for so long."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.cmdline() == ["sleep", seconds]:
                found.append(process)
    return found


async def run(statement: str) -> tuple[int, str]:
    return await run_module("timeit", "-n", "1", "-r", "1", statement, seconds=SECONDS)


async def test_the_exit_code_and_the_errors_are_returned() -> None:
    """Its output is not read."""
    code, errors = await run("print('much'); raise ValueError('why')")
    assert code == 1
    assert errors.endswith("ValueError: why")


@pytest.mark.failure("F495")
async def test_what_a_process_leaves_ends_with_it() -> None:
    """Also if it ended by itself."""
    assert await run(LEAVES_A_PROCESS.format(seconds="7011.5")) == (0, "")
    _, left = psutil.wait_procs(sleeping("7011.5"), SECONDS)
    assert not left


@pytest.mark.failure("F495")
async def test_a_cancellation_ends_all() -> None:
    """The process and what it started."""
    statement = f"{LEAVES_A_PROCESS.format(seconds='7013.5')}; import time; time.sleep(600)"
    running = asyncio.ensure_future(run(statement))
    async with asyncio.timeout(SECONDS):
        while not (started := sleeping("7013.5")):
            assert not running.done()
            await asyncio.sleep(0.05)
    parents = [parent for each in started if (parent := each.parent())]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    _, left = psutil.wait_procs([*started, *parents], SECONDS)
    assert not left
