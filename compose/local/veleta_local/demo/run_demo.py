"""Starts the run, shows it, and ends it when it is told to."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from rich.console import Console

from veleta.clock import utc_now
from veleta.dataset import load_dataset
from veleta_local.demo.screen import Screen
from veleta_local.demo.watch import Watch
from veleta_local.errors import LocalError
from veleta_local.run import Run
from veleta_local.variables import Variables

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def show(home: Path, variables: Variables, timeout: float) -> None:
    """The whole of `make demo`: returns when Ctrl-C, SIGTERM or a closed terminal ended it, and nothing is left.

    A run that is up is gone on with, and ended too. Raises LocalError when it cannot begin or was ended from elsewhere.
    """
    _quiet()
    screen = Screen(Console(), utc_now)
    with until_stopped(screen):
        run = Run(home, variables, screen.say)
        was_up = run.alive()
        try:
            run.begin(timeout)
        except LocalError:
            if not was_up:
                with suppress(LocalError):  # another make is at work on it
                    run.stop()
            raise
        screen.say(_addresses(run))
        watch = Watch(run, load_dataset(run.dataset), screen.tell, utc_now)
        with screen.showing(watch):
            asyncio.run(watch.look())
    Run(home, say=screen.say).stop()
    screen.say("everything has ended; make demo goes on from here")


@contextmanager
def until_stopped(screen: Screen) -> Iterator[None]:
    """Do the block until the first of the signals; from then on they change nothing."""

    def end(number: int, _frame: object) -> None:
        for each in _ENDS:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGHUP:
            _close_output()
        raise KeyboardInterrupt

    for each in _ENDS:
        signal.signal(each, end)
    with suppress(KeyboardInterrupt):
        yield
    screen.say("ending everything")


def _close_output() -> None:
    """Write to nowhere from now on: a write to a closed terminal fails, and the run would not be stopped."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _addresses(run: Run) -> str:
    lines = [
        f"monitor   {run.url('monitor')}",
        f"predict   {run.url('inference')}/predict",
        f"MLflow    {run.mlflow_url}",
    ]
    by_hand = ["", "make poll, in another terminal, takes a batch"] if run.variables.poll == "manual" else []
    return "\n".join(["", *lines, *by_hand, ""])


def _quiet() -> None:
    """What is away is shown where its state is."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
