"""Runs a tool until it ends. Its output is shown only if it fails, as one line."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from veleta_local.errors import LocalError
from veleta_local.log_errors import reason_of


def run(
    command: Sequence[object],
    failure: str,
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
    standard_input: str = "",
) -> None:
    """Run a command with this text as its input.

    Raises:
        LocalError: it failed or took too long. The message is `failure` and the tool's own error.
    """
    try:
        done = subprocess.run(
            [str(argument) for argument in command],
            cwd=folder,
            env=environment,
            timeout=seconds,
            input=standard_input,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"{failure}: it did not end within {seconds:.0f} s") from None
    if done.returncode:
        raise LocalError(f"{failure}: {_reason(done.stderr.strip() or done.stdout)}")


def run_with_lines(command: Sequence[object], failure: str, *, folder: Path, on_line: Callable[[str], None]) -> None:
    """As `run`, and `on_line` receives each line of output at once. A carriage return ends a line too."""
    arguments = [str(argument) for argument in command]
    lines = []
    with subprocess.Popen(
        arguments,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            on_line(line)
    if process.returncode:
        raise LocalError(f"{failure}: {_reason(''.join(lines))}")


def _reason(output: str) -> str:
    return reason_of(output) or "it printed nothing"
