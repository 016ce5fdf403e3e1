"""Deletes a run with its data, and reports what is deleted and what is kept."""

import os
from collections.abc import Iterator
from pathlib import Path

from veleta_local.deployment import ROOT
from veleta_local.files import disk_usage
from veleta_local.run import Run

_KEPT = {".runtime": "Kafka and MariaDB", ".venv": "the Python packages"}
"""The folders of the checkout that the next start needs."""


def clean(run: Run) -> Iterator[str]:
    """Delete the run and its data: lines with the folder, its content and its size, and what is kept.

    Raises:
        LocalError: the run is up.
    """
    if run.home.exists():
        size = _megabytes(run.home)
        run.clean()
        yield f"deleted {os.path.relpath(run.home)}: {size}, with all events, tables, models and logs"
    else:
        yield f"there is no run to delete: {os.path.relpath(run.home)} does not exist"
    kept = [f"{name} ({what}, {_megabytes(ROOT / name)})" for name, what in _KEPT.items() if (ROOT / name).exists()]
    yield f"kept {' and '.join(kept)} for the next start"


def _megabytes(folder: Path) -> str:
    return f"{disk_usage(folder) / 2**20:,.0f} MB"
