"""Lists what the pinned MLflow mounts, with what Veleta lets through: `tests/security/mlflow_routes.txt`.

`python -m support.mlflow_routes` prints a line for each route. It is a separate process, because MLflow's server reads
the environment and warns while it is imported.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

from support.repository import ROOT
from veleta_mlflow.access import rule_for

ROUTES = ROOT / "tests/security/mlflow_routes.txt"
_PARAMETER = re.compile(r"<(?:\w+:)?\w+>|\{\w+(?::\w+)?\}")


@cache
def mounted() -> list[tuple[str, str]]:
    """The method and the path of each route, sorted by path. Parameters are in {} or <>."""
    command = [sys.executable, "-W", "ignore", "-m", "support.mlflow_routes"]
    printed = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=True).stdout
    routes = {(method, path) for method, path in (line.split(" ") for line in printed.splitlines())}
    return sorted(routes, key=lambda route: (route[1], route[0]))


def example(path: str) -> str:
    """A path that matches the route."""
    return _PARAMETER.sub("x", path)


def routes_text() -> str:
    """A line for each route: `open`, the writers whose token it needs, or `404`; the method; the path."""
    return "".join(f"{_access(method, path):18} {method:6} {path}\n" for method, path in mounted())


def _access(method: str, path: str) -> str:
    rule = rule_for(method, example(path))
    return "404" if rule is None else ",".join(sorted(rule.writers)) or "open"


def _routes() -> Iterator[tuple[str, str]]:
    from fastapi.routing import iter_route_contexts  # noqa: PLC0415
    from mlflow.server import app as flask_app  # noqa: PLC0415
    from mlflow.server.fastapi_app import app  # noqa: PLC0415

    for route in iter_route_contexts(app.routes):
        # The mount is Flask's application, at the root.
        yield from ((method, str(route.path)) for method in route.methods or ["ANY"] if route.path)
    for rule in flask_app.url_map.iter_rules():
        yield from ((method, rule.rule) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"})


if __name__ == "__main__":
    for method, path in _routes():
        print(method, path)  # noqa: T201 - its output is read by `mounted`
