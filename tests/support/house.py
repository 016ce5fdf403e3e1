"""Where the parts of the project lie: for tests that look at the code itself."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def services() -> list[str]:
    """The names of all services."""
    return sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))


def package(service: str) -> Path:
    """The folder of a service's code."""
    return ROOT / "services" / service / f"veleta_{service}"


def python_files(*folders: str) -> list[Path]:
    """All Python files below these folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def project_files() -> list[Path]:
    """What git tracks, or would with the next `git add`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]
