"""Runs modules in processes that are forked from one server, which can import the large libraries before."""

import multiprocessing
import os
import runpy
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType

_context = multiprocessing.get_context("forkserver")
_starting = threading.Lock()


def preload() -> None:
    """Import the libraries of services in the server. To be called before the first `start`."""
    _context.set_forkserver_preload(["support.preloaded"])


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """Run a module with arguments as `python -m` does, in a session of its own. Its output is appended to `log`."""
    log.touch()
    process = _context.Process(target=_run, args=(command, environment, log))
    with _another_main():
        process.start()
    return process


@contextmanager
def _another_main() -> Iterator[None]:
    """Hide the main module of this process, which each forked process would import first."""
    with _starting:
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    os.setsid()
    with log.open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
