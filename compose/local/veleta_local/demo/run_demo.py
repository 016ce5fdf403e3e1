"""Starts the run, shows it, and stops it at the end; or shows a run that is up."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import structlog
from rich.console import Console
from rich.text import Text

from veleta.clock import utc_now
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta_local import processes
from veleta_local.demo.run_observer import RunObserver
from veleta_local.demo.signals import EndSignals, hang_up, until_signal
from veleta_local.demo.terminal import Terminal, silent_keyboard
from veleta_local.demo.view import HINT, VIEWER_HINT, view
from veleta_local.errors import LocalError, RunStopped
from veleta_local.output import is_closed, surviving_output
from veleta_local.run import Run
from veleta_local.variables import Variables

_REDRAW_SECONDS = 0.25
_AGAIN = "; Ctrl-C again does not make it faster"


def run_demo(home: Path, variables: Variables) -> None:
    """Run until Ctrl-C, SIGTERM or a closed terminal, then end all processes. A run that is up is only shown.

    Raises:
        LocalError: the run cannot start, or another command stopped it.
        Stop: the dataset file or the input is not valid.
    """
    signals = EndSignals()
    with _terminal() as terminal:
        run = Run(home, variables, terminal.print_text)
        if run.is_up():
            _show_only(run, terminal, signals)
            return
        started, reason = True, ""
        try:
            with until_signal(signals):
                try:
                    run.spawn(variables.start_timeout)
                except (LocalError, Stop):  # it has ended what it began
                    started = False
                    raise
                _show(run, terminal, HINT, ready=("kafka", "mysql"))
        except RunStopped:
            started = False
            raise
        except LocalError as error:
            reason = f"{error}\n"
            raise
        finally:
            if started:
                _stop(run, terminal, signals, reason)


def watch(home: Path) -> None:
    """Show a run that is up until Ctrl-C.

    Raises:
        LocalError: the run is down.
    """
    with _terminal() as terminal:
        run = Run(home)
        if not run.alive():
            raise LocalError("the run is down: make start first")
        _show_only(run, terminal, EndSignals())


def _show_only(run: Run, terminal: Terminal, signals: EndSignals) -> None:
    terminal.print_text(f"the run is up already. {VIEWER_HINT}")
    with until_signal(signals):
        try:
            _show(run, terminal, VIEWER_HINT, ready=run.parts)
        except RunStopped:
            terminal.print_text("another command stopped the run: make start starts it again")
            return
    terminal.print_text("the viewer has ended, the run goes on: make stop ends it")


def _show(run: Run, terminal: Terminal, hint: str, ready: Collection[str]) -> None:
    """Show the run until it is stopped by another command, or until a signal. Parts in `ready` have been reported."""
    if not terminal.can_redraw:
        terminal.print_text(_addresses(run))
    signal.signal(signal.SIGCONT, lambda *_: terminal.repaint())  # after Ctrl-Z and fg
    try:
        with silent_keyboard():
            asyncio.run(_draw(run, terminal, hint, ready))
    finally:
        terminal.finish()


async def _draw(run: Run, terminal: Terminal, hint: str, ready: Collection[str]) -> None:
    asyncio.get_running_loop().set_default_executor(_Threads())
    observer = RunObserver(run, load_dataset(run.dataset), terminal.add, utc_now, ready)
    observing = asyncio.ensure_future(observer.observe())
    while not observing.done():
        terminal.draw(view(observer, utc_now(), terminal.width, hint))
        if is_closed():
            hang_up()
        await asyncio.wait([observing], timeout=_REDRAW_SECONDS)
    await observing


class _Threads(ThreadPoolExecutor):
    """Threads that the end does not wait for: a server that hangs must not delay the stop of the run."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - see above
        super().shutdown(wait=False, cancel_futures=True)


def _stop(run: Run, terminal: Terminal, signals: EndSignals, reason: str) -> None:
    """Stop the run, and show the reason and which parts still run."""
    began, presses = time.monotonic(), signals.count
    terminal.print_text("stopping all processes")
    with ThreadPoolExecutor(1) as thread:
        stopping = thread.submit(Run(run.home, report=terminal.print_text).stop)
        while not stopping.done():
            again = _AGAIN if signals.count > presses else ""
            terminal.draw(Text(f"{reason}stopping: {_running(run)} ({time.monotonic() - began:.0f} s){again}"))
            wait([stopping], timeout=_REDRAW_SECONDS)
    stopping.result()
    terminal.print_text(f"all processes have ended ({time.monotonic() - began:.0f} s); make demo continues from here")


def _running(run: Run) -> str:
    running = processes.by_part(run.home)
    return ", ".join(part for part in run.parts if part in running) or "supervisord"


@contextmanager
def _terminal() -> Iterator[Terminal]:
    """Standard output. When it is closed, this process gets SIGHUP."""
    for name in ("kafka", "asyncio"):  # the view shows which part is unavailable
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in ("COLUMNS", "LINES"):  # exported ones do not follow the size of the window
        os.environ.pop(name, None)
    with surviving_output(hang_up):
        yield Terminal(Console(), utc_now)


def _addresses(run: Run) -> str:
    lines = [
        f"monitor   {run.url('monitor')}",
        f"predict   {run.url('inference')}/predict",
        f"MLflow    {run.mlflow_url}",
    ]
    by_hand = ["", "make poll, in another terminal, fetches a batch"] if run.variables.poll == "manual" else []
    return "\n".join(["", *lines, *by_hand, ""])
