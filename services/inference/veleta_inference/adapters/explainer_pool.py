"""Explanations by child processes."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

import orjson

from veleta.dataset import Values
from veleta.errors import Reject, Retry
from veleta_inference.domain.promotions import LoadedModel

MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_EXPLAINED_ITEMS = 100
"""Maximum items of one request to /explain. Each takes some 10 ms."""


class ExplainerPool:
    """A pool of child processes, `python -m veleta_inference.explainer`. A child that misses its deadline is killed."""

    def __init__(self, dataset: str, children: int, seconds: float) -> None:
        """`dataset` is the setting DATASET. A child starts with the first explanation that needs it."""
        self._command = ("-m", "veleta_inference.explainer", dataset)
        self._seconds = seconds
        self.children: set[Process] = set()
        self._free: asyncio.Queue[Process | None] = asyncio.Queue()
        for _ in range(children):
            self._free.put_nowait(None)

    async def shap_values(self, model: LoadedModel, rows: Sequence[Values]) -> tuple[list[str], list[list[float]]]:
        """The columns of a row, and the SHAP values of each row (rows x columns; see `veleta.shap_values`).

        The value of a column is the sum of those of its features.

        Raises:
            Reject: the model's file changed since it was loaded.
            Retry: no child was free in time, or it did not respond in time, or it died.
        """
        try:
            async with asyncio.timeout(self._seconds):
                child = await self._free.get()
                try:
                    child = child or await self._start()
                    response = await _call(child, {"model": str(model.path), "digest": model.digest, "rows": rows})
                except BaseException:
                    if child:
                        await self._kill(child)
                        child = None
                    raise
                finally:
                    self._free.put_nowait(child)
        except TimeoutError:
            raise Retry("explainer", f"no explanation within {self._seconds:g} s") from None
        if "fault" in response:
            raise Reject("no explanation", response["fault"])
        return response["columns"], response["values"]

    async def close(self) -> None:
        """Kill all children."""
        for child in list(self.children):
            await self._kill(child)

    async def _start(self) -> Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, stdin=PIPE, stdout=PIPE, limit=MAX_LINE_BYTES
        )
        self.children.add(child)
        return child

    async def _kill(self, child: Process) -> None:
        self.children.discard(child)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _call(child: Process, request: dict[str, Any]) -> dict[str, Any]:
    assert child.stdin  # noqa: S101 - a pipe
    assert child.stdout  # noqa: S101 - a pipe
    with contextlib.suppress(ConnectionError):
        child.stdin.write(orjson.dumps(request) + b"\n")
        await child.stdin.drain()
    if not (line := await child.stdout.readline()):
        raise Retry("explainer", "its process ended")
    response: dict[str, Any] = orjson.loads(line)
    return response
