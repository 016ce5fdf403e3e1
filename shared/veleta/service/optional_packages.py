"""Leaves out packages that libraries import if they are installed."""

import sys

ARROW = "pyarrow"
"""pandas and MLflow import it at their start, and need it only for data frames and files. It takes 43 MB.

pandas itself, which takes 50 MB, cannot be left out: CatBoost's predictions fail without it.
"""


def leave_out(package: str) -> None:
    """Let each import of a package fail from now on, as if it were not installed.

    A process calls it before it imports a library that would import the package.
    """
    sys.modules[package] = None  # type: ignore[assignment]  # Python's own mark for this
