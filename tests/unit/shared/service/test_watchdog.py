"""A process that hangs ends by itself: real processes (support.hanging), with short limits."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.hanging import STARTED
from support.testbed import free_port
from veleta.service.watchdog import EXIT_CODE, STOP_SECONDS
from veleta_local.supervise import STOP_WAIT_SECONDS

SECONDS = 30
"""Far below the 60 s that each kind hangs."""


@contextmanager
def hanging(kind: str, loop: str, liveness_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A service that hangs now."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "LIVENESS_SECONDS": str(liveness_seconds),
        "PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "support.hanging", kind, loop]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline().strip() == STARTED
        yield process
    finally:
        process.kill()
        process.communicate()


def last_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The last line of the log, after the process has ended."""
    assert process.stderr
    line: dict[str, Any] = json.loads(process.stderr.read().splitlines()[-1])
    return line


@pytest.mark.failure("F233")
@pytest.mark.parametrize(
    ("kind", "loop", "name"),
    [
        ("stuck_loop", "asyncio", "consumer"),
        ("call_in_thread", "--uvloop", "consumer"),
        ("blocked_event_loop", "asyncio", "start"),
        ("blocked_library", "--uvloop", "start"),
    ],
)
def test_a_process_without_progress_exits_and_logs_where_it_hangs(kind: str, loop: str, name: str) -> None:
    """In one line, with the stack of each thread."""
    with hanging(kind, loop, liveness_seconds=0.5) as process:
        assert process.wait(SECONDS) == EXIT_CODE
        line = last_line(process)
        assert line["reason"] == f"its loop '{name}' makes no progress"
        assert {"MainThread", "watchdog"} <= set(line["stacks"])
        if kind.startswith("blocked"):
            assert kind in line["stacks"]["MainThread"][-1]


@pytest.mark.failure("F233")
def test_a_process_exits_although_its_log_is_blocked() -> None:
    """Nobody reads its stderr, so it cannot log why."""
    with hanging("blocked_stderr", "asyncio", liveness_seconds=0.5) as process:
        assert process.wait(SECONDS) == EXIT_CODE


@pytest.mark.failure("F233")
def test_a_process_exits_although_no_thread_can_run() -> None:
    """A library holds the interpreter lock. A thread of the interpreter itself writes the stacks."""
    with hanging("held_interpreter", "asyncio", liveness_seconds=0.5) as process:
        assert process.wait(SECONDS) == 1
        assert process.stderr
        assert "held_interpreter" in process.stderr.read()


@pytest.mark.failure("F233")
def test_a_process_without_a_limit_hangs_on() -> None:
    """As in a debugger. It ends by SIGTERM all the same."""
    with hanging("blocked_event_loop", "asyncio", liveness_seconds=0) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == EXIT_CODE


@pytest.mark.failure("F234")
@pytest.mark.parametrize(
    ("kind", "loop"),
    [
        ("stuck_loop", "--uvloop"),
        ("call_in_thread", "asyncio"),
        ("blocked_event_loop", "--uvloop"),
        ("blocked_library", "asyncio"),
        ("blocked_library", "--uvloop"),
        ("refuses_to_end", "asyncio"),
        ("thread_at_exit", "--uvloop"),
    ],
)
def test_a_process_ends_after_sigterm_whatever_hangs(kind: str, loop: str) -> None:
    """A stuck loop is cancelled, and the process ends with 0. Otherwise it exits with the code of the watchdog."""
    with hanging(kind, loop, liveness_seconds=60) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == (0 if kind == "stuck_loop" else EXIT_CODE)
        if kind != "stuck_loop":
            assert last_line(process)["reason"] == "it did not stop within 1 s"


@pytest.mark.failure("F234")
def test_a_process_that_ends_by_itself_ends_whatever_hangs() -> None:
    """An error ends a service too, and then nothing that hangs may prevent its restart."""
    with hanging("ends_with_thread", "asyncio", liveness_seconds=60) as process:
        assert process.wait(SECONDS) == EXIT_CODE


def test_the_limit_is_below_that_of_supervisord() -> None:
    """So a process that hangs logs where, before it is killed."""
    assert STOP_SECONDS < STOP_WAIT_SECONDS
