"""Runs a tool to its end; what it says is shown only when it fails, as one line."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from veleta_local.errors import LocalError


def run(
    command: Sequence[object],
    trouble: str,
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> None:
    """Raise `trouble` with the tool's own reason when it ends badly or not in time."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=environment,
            timeout=seconds,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"{trouble}: no end after {seconds:.0f} s") from None
    if done.returncode:
        raise LocalError(f"{trouble}: {reason(done.stderr.strip() or done.stdout)}")


def follow(command: Sequence[object], trouble: str, *, folder: Path, hear: Callable[[str], None]) -> None:
    """As `run`, and `hear` gets each line as it comes; a line that the tool writes over again counts as several."""
    words = [str(word) for word in command]
    lines = []
    with subprocess.Popen(
        words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            hear(line)
    if process.returncode:
        raise LocalError(f"{trouble}: {reason(''.join(lines))}")


def reason(text: str) -> str:
    """The line of an output that most likely says why: Maven's first error, or else the last line."""
    lines = text.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if line.startswith("[ERROR]")), lines[-1])
