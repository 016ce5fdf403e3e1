"""Each distribution declares what its package imports, and nothing else."""

import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions

import grimp
import pytest

from support.repository import ROOT, declared, declared_optional, distribution

PROJECTS = {
    path.parent.name: path.parent
    for pattern in ("services/*", "compose/*", "notebooks")
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
}
IMPORTED_BY_OTHERS = {
    "aiokafka": "faust's transport",
    "asyncmy": "SQLAlchemy's driver",
    "crc32c": "kafka-python's checksums",
    "cryptography": "the drivers' caching_sha2_password",
    "fastapi-offline": "not imported: inference serves its files of /docs",
    "ipywidgets": "the notebooks' progress bars",
    "jupyterlab": "run by `python -m`",
    "matplotlib": "shap's pictures",
    "numba": "shap; an older one does not support this numpy",
    "orjson": "the services, but not MLflow's server; it is a dependency of shared/",
    "pymysql": "SQLAlchemy's driver",
    "structlog": "every service, but not the notebooks; it is a dependency of shared/",
    "tomli-w": "dataset files, but not MLflow's server; it is a dependency of shared/",
    "supervisor": "run by `python -m`",
    "zstandard": "kafka-python's compression",
}
"""Distributions that our code does not import, with the one that does."""


def test_all_projects_are_covered() -> None:
    """The services, the parts in compose/, and the notebooks."""
    assert {"poller", "prepare", "local", "mlflow", "notebooks"} < PROJECTS.keys()


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_what_is_declared_is_imported(name: str) -> None:
    """By the modules that the package reaches, including those in shared/. Those of an extra may be missing."""
    imported, requirements = _imported(name), declared(PROJECTS[name])
    possible = requirements | declared_optional(PROJECTS[name])
    assert {module for module, distributions in imported.items() if not distributions & possible} == set()
    assert requirements - set().union(*imported.values()) - IMPORTED_BY_OTHERS.keys() == set()


@pytest.mark.parametrize(
    "module",
    ["veleta_trainer.bootstrap", "veleta_inference.bootstrap", "veleta_retention.bootstrap", "veleta_notebooks.system"],
)
def test_mlflow_has_no_telemetry(module: str) -> None:
    """In each process that imports it, with an empty environment."""
    code = f"import {module}; from mlflow.telemetry import get_telemetry_client; assert get_telemetry_client() is None"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _imported(name: str) -> dict[str, set[str]]:
    """The external modules that a package reaches, each with the distributions that contain it."""
    graph, imported = _graph(), dict[str, set[str]]()
    modules = [f"veleta_{name}", *graph.find_descendants(f"veleta_{name}")]
    seen = set(modules)
    while modules:
        for module in graph.find_modules_directly_imported_by(modules.pop()):
            if module.split(".")[0].startswith("veleta"):
                modules += {module} - seen
                seen.add(module)
            elif module not in sys.stdlib_module_names:
                imported[module] = {distribution(each) for each in _distributions().get(module, [module])}
    return imported


@cache
def _graph() -> grimp.ImportGraph:
    packages = [f"veleta_{name}" for name in PROJECTS]
    return grimp.build_graph("veleta", *packages, include_external_packages=True, cache_dir=None)


@cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions of each top-level module."""
    return packages_distributions()
