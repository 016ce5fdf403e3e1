"""What each distribution says it needs is what it imports: nothing is missing, nothing is brought along unused."""

import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions

import grimp
import pytest

from support.house import ROOT, declared, distribution

PROJECTS = {path.parent.name: path.parent for path in ROOT.glob("services/*/pyproject.toml")}
PROJECTS["prepare"] = ROOT / "compose/prepare"
LOADED_BY_NAME = {
    "aiokafka": "faust's transport",
    "asyncmy": "SQLAlchemy's driver",
    "crc32c": "kafka-python's checksums",
    "cryptography": "the drivers' caching_sha2_password",
    "fastapi-offline": "no one: the files of /docs that it carries are served",
    "numba": "what shap computes with: an older one than its own choice does not know this numpy",
    "pymysql": "SQLAlchemy's driver",
    "zstandard": "kafka-python's compression",
}
"""Distributions that no code of ours imports, and who does."""


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_what_is_declared_is_imported(name: str) -> None:
    """By the modules that the service's package reaches, those in shared/ included."""
    imported, asked = _imported(name), declared(PROJECTS[name])
    assert {module for module, bringing in imported.items() if not bringing & asked} == set()
    assert asked - set().union(*imported.values()) - LOADED_BY_NAME.keys() == set()


@pytest.mark.parametrize(
    "module", ["veleta_trainer.bootstrap", "veleta_inference.bootstrap", "veleta_notebooks.system"]
)
def test_mlflow_has_no_telemetry(module: str) -> None:
    """In no process that imports it, also where nothing in its environment says so, as it does here."""
    code = f"import {module}; from mlflow.telemetry import get_telemetry_client; assert get_telemetry_client() is None"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _imported(name: str) -> dict[str, set[str]]:
    """The external modules that are reached from a service's package, each with the distributions that bring it."""
    graph, found = _graph(), dict[str, set[str]]()
    ways = [f"veleta_{name}", *graph.find_descendants(f"veleta_{name}")]
    seen = set(ways)
    while ways:
        for module in graph.find_modules_directly_imported_by(ways.pop()):
            if module.split(".")[0].startswith("veleta"):
                ways += {module} - seen
                seen.add(module)
            elif module not in sys.stdlib_module_names:
                found[module] = {distribution(each) for each in _distributions()[module]}
    return found


@cache
def _graph() -> grimp.ImportGraph:
    packages = [f"veleta_{name}" for name in PROJECTS]
    return grimp.build_graph("veleta", *packages, include_external_packages=True, cache_dir=None)


@cache
def _distributions() -> Mapping[str, list[str]]:
    """By top-level module: what brings it."""
    return packages_distributions()
