"""The data of a run on disk: whether it took a row, and deleting what a run without rows has."""

import shutil
from pathlib import Path

FOLDERS = ("kafka", "mysql", "mysql-tmp", "mlflow", "source", "inbox", "trainer", "journal")
_TRACES = ("kafka/*.rows-*/*.log", "inbox/*.body", "mlflow/artifacts/*")
"""Files that are not empty if a row was taken: the topics `rows`, responses that wait in the inbox, and models."""


def has_rows(home: Path) -> bool:
    """Whether the run may have taken a row. A database without its topics counts, because it may have rows."""
    traces = (path for pattern in _TRACES for path in home.glob(pattern))
    unknown = (home / "mysql").exists() and not (home / "kafka").exists()
    return unknown or any(path.is_dir() or path.stat().st_size for path in traces)


def delete(home: Path) -> None:
    """Delete all data. The logs, the passwords and the saved variables stay."""
    for name in FOLDERS:
        shutil.rmtree(home / name, ignore_errors=True)
