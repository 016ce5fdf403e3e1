"""Paths and metadata of the project, for tests that check the code itself."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def services() -> list[str]:
    """The names of all services."""
    return sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))


def package(service: str) -> Path:
    """The folder of a service's code."""
    return ROOT / "services" / service / f"veleta_{service}"


def python_files(*folders: str) -> list[Path]:
    """All Python files in these folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def project_files() -> list[Path]:
    """All files that git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def declared(project: Path) -> set[str]:
    """The distributions that a project declares, with those of the extras of shared/ that it uses, without veleta."""
    return _with_shared(_table(project)["dependencies"])


def declared_optional(project: Path) -> set[str]:
    """As `declared`, those of the project's extras."""
    extras: dict[str, list[str]] = _table(project).get("optional-dependencies", {})
    return _with_shared([each for wanted in extras.values() for each in wanted])


def _with_shared(wanted: list[str]) -> set[str]:
    shared = _table(ROOT / "shared")
    ours = next((each for each in wanted if distribution(each) == "veleta"), None)
    if ours:
        extras = re.findall(r"[\w-]+", ours.removeprefix("veleta"))
        wanted = [*wanted, *shared["dependencies"], *(w for e in extras for w in shared["optional-dependencies"][e])]
    return {distribution(each) for each in wanted} - {"veleta"}


def distribution(requirement: str) -> str:
    """The normalised name in a requirement."""
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return re.sub(r"[_.]", "-", match[0].lower())


def _table(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    return found
