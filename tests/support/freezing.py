"""Freezes parts of a run: their processes neither work nor end, and their connections stay open."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from veleta_local.run import Run


def freeze(run: Run, parts: Sequence[str]) -> None:
    """SIGSTOP to all processes of the parts: supervisord makes each part the leader of a group."""
    for part in parts:
        os.killpg(run.pid(part), signal.SIGSTOP)


def thaw(run: Run, parts: Sequence[str]) -> None:
    """SIGCONT to all processes of the parts."""
    for part in parts:
        os.killpg(run.pid(part), signal.SIGCONT)


@contextmanager
def frozen(run: Run, parts: Sequence[str]) -> Iterator[None]:
    """The parts are frozen while the block runs."""
    freeze(run, parts)
    try:
        yield
    finally:
        thaw(run, parts)
