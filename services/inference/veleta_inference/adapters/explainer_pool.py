"""Explanations by child processes, each in turn."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

import orjson

from veleta.dataset import Values
from veleta.errors import Retry
from veleta_inference.domain.promotions import Served

LINE_BYTES = 64 * 1024 * 1024
EXPLAINED_ITEMS = 100
"""So many items one request may have explained: each costs some 10 ms."""


class Explainers:
    """A pool of children, `python -m veleta_inference.explainer`. One that is too slow gives way to another."""

    def __init__(self, dataset: str, children: int, seconds: float) -> None:
        """`dataset` as it is named to every service. No child is started before it is needed."""
        self._command = ("-m", "veleta_inference.explainer", dataset)
        self._seconds = seconds
        self._children: set[Process] = set()
        self._free: asyncio.Queue[Process | None] = asyncio.Queue()
        for _ in range(children):
            self._free.put_nowait(None)

    async def shares(self, served: Served, rows: Sequence[Values]) -> tuple[list[str], list[list[float]]]:
        """The features' names, and for each row their SHAP values, of the logarithm of the price.

        Raises:
            Retry: no child was free, or answered, in time.
        """
        try:
            async with asyncio.timeout(self._seconds):
                child = await self._free.get()
                try:
                    child = child or await self._start()
                    said = await _ask(child, {"model": str(served.model), "rows": rows})
                except BaseException:
                    if child:
                        await self._end(child)
                        child = None
                    raise
                finally:
                    self._free.put_nowait(child)
        except TimeoutError:
            raise Retry("explainer", f"no explanation within {self._seconds:g} s") from None
        return said["features"], said["shares"]

    def alive(self) -> list[int]:
        """The process ids of the children."""
        return [child.pid for child in self._children]

    async def close(self) -> None:
        """End all children."""
        for child in list(self._children):
            await self._end(child)

    async def _start(self) -> Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES
        )
        self._children.add(child)
        return child

    async def _end(self, child: Process) -> None:
        self._children.discard(child)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _ask(child: Process, question: dict[str, Any]) -> dict[str, Any]:
    assert child.stdin  # noqa: S101 - a pipe
    assert child.stdout  # noqa: S101 - a pipe
    with contextlib.suppress(ConnectionError):
        child.stdin.write(orjson.dumps(question) + b"\n")
        await child.stdin.drain()
    if not (line := await child.stdout.readline()):
        raise Retry("explainer", "its process ended")
    said: dict[str, Any] = orjson.loads(line)
    return said
