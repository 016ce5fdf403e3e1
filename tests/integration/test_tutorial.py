"""The tutorial is true: its commands run in their order, and print what the page shows."""

import io
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.repository import ROOT
from support.testbed import free_base
from support.tutorial import Step, lines_missing, matches, steps
from veleta_local.addresses import DEFAULT_PORTS, ports
from veleta_local.run import Run

SHELL = """
make() {
    local="PYTHONPATH=checkout/tests .venv/bin/python -u -m support.command_line"
    command make -f checkout/Makefile INSTALLED= LOCAL="$local" "$@"
}
"""
"""`make`, for a run in the current folder."""


class Terminal:
    """A folder with the checkout's programs; `make demo` in it runs on until Ctrl-C."""

    def __init__(self, folder: Path) -> None:
        base = free_base()
        self.run = Run(folder / ".veleta", report=lambda _line: None)
        self.shown = ""
        self._process: subprocess.Popen[str] | None = None
        self._folder = folder
        self._ports = {str(DEFAULT_PORTS[part]): str(port) for part, port in ports(base).items()}
        self._environment = {**os.environ, "PORT_BASE": str(base)}
        (folder / "checkout").symlink_to(ROOT)
        (folder / ".venv").symlink_to(ROOT / ".venv")

    def open(self, command: str) -> None:
        """Run the first command, and collect what it prints."""
        script = f"{SHELL}\n{command}"
        self._process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def execute(self, commands: list[str]) -> str:
        """Run commands in one shell: the output of the last one."""
        before, last = "\n".join(f"{{ {command}\n}} >/dev/null 2>&1" for command in commands[:-1]), commands[-1]
        script = f"{SHELL}\n{before}\n{_replace(last, self._ports)}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return self._as_on_the_page(done.stdout)

    def interrupt(self) -> int:
        """Press Ctrl-C: the exit code."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(60)
        self._reader.join()
        return code

    def close(self) -> None:
        """Stop the run, and wait for the first command."""
        self.run.stop()
        if self._process is not None:
            self._process.wait(60)

    def _read(self, process: subprocess.Popen[str]) -> None:
        with process.stdout or io.StringIO() as lines:
            for line in lines:
                self.shown += self._as_on_the_page(line)

    def _as_on_the_page(self, text: str) -> str:
        return _replace(text, {port: default for default, port in self._ports.items()})


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in an empty folder; its run is stopped at the end."""
    made = Terminal(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_the_tutorial_is_true(terminal: Terminal) -> None:
    """Each command prints what the page shows, sooner or later; nothing is left after Ctrl-C."""
    first, *others = steps()
    terminal.open(first.command)
    shell: list[str] = []
    _follow(terminal, first)
    for step in others:
        if step.command == "^C":
            terminal.interrupt()
        if step.terminal == 1:
            _follow(terminal, step)
        else:
            _try(terminal, step, shell)
    assert not terminal.run.home.exists()


def _follow(terminal: Terminal, step: Step) -> None:
    """Wait for the lines of terminal 1."""
    end = time.monotonic() + 240
    while missing := lines_missing(step.output, terminal.shown):
        assert time.monotonic() < end, f"{missing} not in:\n{terminal.shown}"
        time.sleep(0.2)


def _try(terminal: Terminal, step: Step, shell: list[str]) -> None:
    """Run a command until it prints what the page shows; one that sets variables counts for those that follow."""
    if step.command.startswith(". "):
        shell.append(step.command)
        return
    end = time.monotonic() + 120
    while not matches(step.output, output := terminal.execute([*shell, step.command])):
        assert time.monotonic() < end, f"{step.command} prints:\n{output}"
        time.sleep(0.5)


def _replace(text: str, ports: Mapping[str, str]) -> str:
    """The text with other ports in its addresses."""
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda match: ports.get(match[0], match[0]), text)
