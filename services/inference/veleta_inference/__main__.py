"""`python -m veleta_inference`. With a folder and a number it is one of several workers (see workers.py)."""

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path
from threading import Thread

from veleta.service import run, work
from veleta_inference.adapters.siblings import Siblings, socket_of
from veleta_inference.settings import InferenceSettings
from veleta_inference.workers import share

NAME = "inference"


async def main(settings: InferenceSettings, told: asyncio.Event) -> None:
    """Serve alone, or as one of several, or let others do it."""
    given = sys.argv[1:]
    if settings.workers > 1 and not given:
        await share(settings, told)
        return
    from veleta_inference.bootstrap import build  # noqa: PLC0415 - whoever lets others serve needs none of it

    if not given:
        await work(NAME, build, settings, told)
        return
    folder, number = Path(given[0]), int(given[1])
    Thread(target=_end_with_stdin, daemon=True).start()
    siblings = Siblings(folder, number, settings.workers)
    await work(NAME, partial(build, siblings=siblings), settings, told, also_at=socket_of(folder, number))


def _end_with_stdin() -> None:
    """Stdin ends when whoever started this process wants it to stop, or is gone."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    run(NAME, InferenceSettings, main)
