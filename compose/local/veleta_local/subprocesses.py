"""Runs a tool until it ends. Its output is shown only if it fails, as one line."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from veleta_local.errors import LocalError


def run(
    command: Sequence[object],
    failure: str,
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> None:
    """Run a command.

    Raises:
        LocalError: it failed or took too long. The message is `failure` and the tool's own error.
    """
    try:
        done = subprocess.run(
            [str(argument) for argument in command],
            cwd=folder,
            env=environment,
            timeout=seconds,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"{failure}: it did not end within {seconds:.0f} s") from None
    if done.returncode:
        raise LocalError(f"{failure}: {error_line(done.stderr.strip() or done.stdout)}")


def run_with_lines(command: Sequence[object], failure: str, *, folder: Path, on_line: Callable[[str], None]) -> None:
    """As `run`, and `on_line` receives each line of output at once. A carriage return ends a line too."""
    arguments = [str(argument) for argument in command]
    lines = []
    with subprocess.Popen(
        arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            on_line(line)
    if process.returncode:
        raise LocalError(f"{failure}: {error_line(''.join(lines))}")


def error_line(output: str) -> str:
    """The line of an output that most likely gives the reason: Maven's first error, else the last line."""
    lines = output.strip().splitlines() or ["it printed nothing"]
    return next((line for line in lines if line.startswith("[ERROR]")), lines[-1])
