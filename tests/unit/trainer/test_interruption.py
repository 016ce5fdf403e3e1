"""A call that a cancellation does not leave half done."""

import asyncio

import pytest

from veleta_trainer.interruption import completed


async def test_a_call_returns_its_result_or_its_error() -> None:
    """As if it was awaited alone."""
    assert await completed(_result(1)) == 1
    with pytest.raises(RuntimeError, match="a fault"):
        await completed(_fail())


async def test_a_cancelled_call_ends_first() -> None:
    """`shorten` makes it end soon. Its error does not hide the cancellation."""
    told = asyncio.Event()
    done: list[str] = []

    async def call() -> None:
        await told.wait()
        done.append("done")
        raise RuntimeError("cut short")

    task = asyncio.create_task(completed(call(), told.set))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["done"]


async def _result(result: int) -> int:
    return result


async def _fail() -> None:
    raise RuntimeError("a fault")
