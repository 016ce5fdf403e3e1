"""Leaves out packages that libraries import if they are installed."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

ARROW = "pyarrow"
"""pandas and MLflow import it at their start, and need it only for data frames and files. It takes 43 MB.

pandas itself, which takes 50 MB, cannot be left out: CatBoost's predictions fail without it.
"""


class _Absent(MetaPathFinder):
    """Finds nothing, and lets no other finder look for one package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        if name.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"{name} is left out in this process", name=name)


def leave_out(package: str) -> None:
    """Let each import of a package fail from now on, as if it were not installed.

    A process calls it before it imports a library that would import the package.
    """
    sys.meta_path.insert(0, _Absent(package))
