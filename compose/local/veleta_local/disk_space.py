"""Checks for free disk space before downloads and starts.

install.sh runs this file before anything is installed, so it imports the standard library alone:
`python disk_space.py run|tests|spark PACKAGE...` with the Debian packages that are missing.
"""

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

RUN_MB = 2100
"""What a run may write until its user looks at the disk: topics, tables, models and logs."""
VENV_MB, CACHE_MB, RUNTIME_MB, MAVEN_MB = 2000, 2000, 500, 250
"""On disk: .venv, uv's cache of it, Kafka and MariaDB in .runtime, and Maven's own copy of them."""
SPARK_MB, SPARK_CACHE_MB = 520, 1500
"""On disk: PySpark in .venv; in uv's cache its archive, what is built from it, and the package."""
PACKAGES_MB = {"run": 400, "tests": 600}
"""Debian packages of a machine that has none: a JRE and Maven; Chromium and its libraries."""

Demand = tuple[int, Path]
"""Megabytes (10**6 bytes) that a folder needs. The folder may not exist yet."""


def shortage(demands: Iterable[Demand]) -> str:
    """Compare the free space of each file system with what its folders need together; empty if all is well."""
    needed: dict[int, int] = defaultdict(int)
    folders: dict[int, Path] = {}
    for megabytes, folder in demands:
        existing = _existing(folder)
        device = existing.stat().st_dev
        needed[device] += megabytes
        folders.setdefault(device, existing)
    for device, folder in folders.items():
        free = shutil.disk_usage(folder).free // 10**6
        if free < needed[device]:
            # Rounded apart, so that the two never look equal.
            return f"{free // 100 / 10} GB are free at {folder}: {-(-needed[device] // 100) / 10} GB are needed"
    return ""


def of_installation(checkout: Path, environ: Mapping[str, str], purpose: str, packages: bool) -> list[Demand]:
    """What install.sh and the first start write; `packages`: Debian packages are missing."""
    demands = [(PACKAGES_MB[purpose], Path("/usr"))] if packages else []
    if purpose == "tests":
        return demands
    home = Path(environ.get("HOME", "/"))
    cache = Path(environ.get("UV_CACHE_DIR") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "uv")
    if purpose == "spark":
        return [(SPARK_MB, checkout), (SPARK_CACHE_MB, cache)]
    present = sum(_megabytes(checkout / folder) for folder in (".venv", ".runtime"))
    demands += [(max(VENV_MB + RUNTIME_MB - present, 0) + RUN_MB, checkout), (MAVEN_MB, home / ".m2")]
    # In one file system, uv links the files of its cache into .venv.
    if _existing(cache).stat().st_dev != checkout.stat().st_dev:
        demands.append((CACHE_MB, cache))
    return demands


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _megabytes(folder: Path) -> int:
    files = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in files) // 10**6


if __name__ == "__main__":
    purpose, *packages = sys.argv[1:]
    sys.exit(shortage(of_installation(Path.cwd(), os.environ, purpose, bool(packages))) or 0)
