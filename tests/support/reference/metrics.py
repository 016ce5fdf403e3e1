"""The table of docs/reference/metrics.md, from the metrics that the code declares."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grimp

from support.reference.tables import table
from support.repository import ROOT, python_files, services

_KINDS = {"Counter": "_total", "Gauge": "", "Histogram": "", "Summary": ""}
"""Each kind of metric, with the suffix that the exported name gets."""


_METRIC = re.compile(rf"prometheus_client\.({'|'.join(_KINDS)})")


@dataclass(frozen=True)
class Metric:
    """A metric as /metrics shows it, and the module that declares it."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    module: str


def metrics() -> str:
    """Each metric with its type, labels, meaning and services."""
    upstream = _imported_modules()
    rows = []
    for metric in sorted(declared_metrics(), key=lambda metric: metric.name):
        owners = [service for service in services() if metric.module in upstream[service]]
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append((f"`{metric.name}`", metric.kind, labels, metric.help, ", ".join(owners)))
    return table(("name", "type", "labels", "meaning", "service"), rows)


def declared_metrics() -> list[Metric]:
    """Every call of prometheus_client that makes a metric."""
    return [metric for path in python_files("services", "shared/veleta") for metric in _of_file(path)]


def _of_file(path: Path) -> Iterator[Metric]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and (match := _METRIC.fullmatch(ast.unparse(node.func))):
            name, text, labels = [*map(ast.literal_eval, node.args), []][:3]
            yield Metric(name + _KINDS[match[1]], match[1].lower(), text, tuple(labels), _module(path))


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "shared" else parts[2:])


def _imported_modules() -> dict[str, set[str]]:
    """By service: every module that its package holds or imports."""
    graph = grimp.build_graph("veleta", *(f"veleta_{service}" for service in services()))
    return {
        service: graph.find_upstream_modules(f"veleta_{service}", as_package=True)
        | graph.find_descendants(f"veleta_{service}")
        for service in services()
    }
