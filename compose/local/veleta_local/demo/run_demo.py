"""Starts the run, shows it, and ends it on a signal."""

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
from veleta_local.demo.run_observer import RunObserver
from veleta_local.demo.terminal import Terminal
from veleta_local.errors import LocalError
from veleta_local.run import Run
from veleta_local.variables import Variables

_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_demo(home: Path, variables: Variables) -> None:
    """Run until Ctrl-C, SIGTERM or a closed terminal, then end all processes, also of a run that was up.

    Raises:
        LocalError: the run could not start, or another command stopped it.
    """
    _silence_logs()
    terminal = Terminal(Console(), utc_now)
    with until_signal():
        run = Run(home, variables, terminal.print_text)
        was_up = run.alive()
        try:
            run.spawn(variables.start_timeout)
        except LocalError:
            if not was_up:
                with suppress(LocalError):  # another make works on the run
                    run.stop()
            raise
        terminal.print_text(_addresses(run))
        observer = RunObserver(run, load_dataset(run.dataset), terminal.print_message, utc_now)
        with terminal.live_view(observer):
            asyncio.run(observer.observe())
    terminal.print_text("ending all processes")
    Run(home, report=terminal.print_text).stop()
    terminal.print_text("all processes have ended; make demo continues from here")


@contextmanager
def until_signal() -> Iterator[None]:
    """Run the block until one of the signals arrives; ignore signals from then on."""

    def end(number: int, _frame: object) -> None:
        for each in _END_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGHUP:
            _discard_output()
        raise KeyboardInterrupt

    for each in _END_SIGNALS:
        signal.signal(each, end)
    with suppress(KeyboardInterrupt):
        yield


def _discard_output() -> None:
    """Discard further output: writing to a closed terminal raises an error, and the run would not end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream:
            os.dup2(nowhere, stream.fileno())


def _addresses(run: Run) -> str:
    lines = [
        f"monitor   {run.url('monitor')}",
        f"predict   {run.url('inference')}/predict",
        f"MLflow    {run.mlflow_url}",
    ]
    by_hand = ["", "make poll, in another terminal, fetches a batch"] if run.variables.poll == "manual" else []
    return "\n".join(["", *lines, *by_hand, ""])


def _silence_logs() -> None:
    """Silence the client libraries: the view shows which part is unavailable."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
