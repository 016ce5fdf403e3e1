"""Runs a tool to its end; what it says is shown only when it fails, as one line."""

import subprocess
from collections.abc import Mapping, Sequence
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


def reason(text: str) -> str:
    """The line of an output that most likely says why: Maven's first error, or else the last line."""
    lines = text.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if line.startswith("[ERROR]")), lines[-1])
