"""What MLflow may answer, as data: everything else that it mounts is 404.

A path is written as in FastAPI: `{id}` is one segment, `{path:path}` is the rest of the path.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from veleta.users import MLFLOW_WRITERS

TRAINER, RETENTION = MLFLOW_WRITERS

_OPEN = """
GET /
GET /static-files/{path:path}
GET /health
GET /version
GET /get-artifact
GET /model-versions/get-artifact
POST /graphql
POST /ajax-api/2.0/mlflow/experiments/search-datasets
GET /ajax-api/2.0/mlflow/logged-models/{id}/artifacts/files
GET /ajax-api/2.0/mlflow/metrics/get-history-bulk
POST /ajax-api/3.0/mlflow/datasets/search
GET /ajax-api/3.0/mlflow/scorers/list
POST /ajax-api/3.0/mlflow/traces/metrics
POST /ajax-api/3.0/mlflow/traces/search
"""
"""What MLflow's pages load beside the API of its clients. Its GraphQL has no mutation that changes anything."""
_OPEN_API = """
GET 2.0/mlflow/artifacts/list
GET 2.0/mlflow/experiments/get
GET 2.0/mlflow/experiments/get-by-name
GET 2.0/mlflow/experiments/search
POST 2.0/mlflow/experiments/search
GET 2.0/mlflow/logged-models/{id}
GET 2.0/mlflow/logged-models/{id}/artifacts/directories
POST 2.0/mlflow/logged-models/search
GET 2.0/mlflow/metrics/get-history
GET 2.0/mlflow/metrics/get-history-bulk-interval
GET 2.0/mlflow/model-versions/get
GET 2.0/mlflow/model-versions/get-download-uri
GET 2.0/mlflow/model-versions/search
GET 2.0/mlflow/registered-models/alias
GET 2.0/mlflow/registered-models/get
GET 2.0/mlflow/registered-models/get-latest-versions
POST 2.0/mlflow/registered-models/get-latest-versions
GET 2.0/mlflow/registered-models/search
GET 2.0/mlflow/runs/get
POST 2.0/mlflow/runs/search
GET 2.0/mlflow-artifacts/artifacts
GET 2.0/mlflow-artifacts/artifacts/{path:path}
GET 3.0/mlflow/server-info
"""
"""Reads of MLflow's clients below /api, and of its pages below /ajax-api. They search with POST."""
_WRITES = """
POST 2.0/mlflow/experiments/create
POST 2.0/mlflow/experiments/delete
POST 2.0/mlflow/experiments/delete-experiment-tag
POST 2.0/mlflow/experiments/restore
POST 2.0/mlflow/experiments/set-experiment-tag
POST 2.0/mlflow/experiments/update
POST 2.0/mlflow/logged-models
PATCH 2.0/mlflow/logged-models/{id}
DELETE 2.0/mlflow/logged-models/{id}
POST 2.0/mlflow/logged-models/{id}/params
PATCH 2.0/mlflow/logged-models/{id}/tags
DELETE 2.0/mlflow/logged-models/{id}/tags/{key}
POST 2.0/mlflow/model-versions/create
DELETE 2.0/mlflow/model-versions/delete
DELETE 2.0/mlflow/model-versions/delete-tag
POST 2.0/mlflow/model-versions/set-tag
POST 2.0/mlflow/model-versions/transition-stage
PATCH 2.0/mlflow/model-versions/update
POST 2.0/mlflow/registered-models/alias
DELETE 2.0/mlflow/registered-models/alias
POST 2.0/mlflow/registered-models/create
DELETE 2.0/mlflow/registered-models/delete
DELETE 2.0/mlflow/registered-models/delete-tag
POST 2.0/mlflow/registered-models/rename
POST 2.0/mlflow/registered-models/set-tag
PATCH 2.0/mlflow/registered-models/update
POST 2.0/mlflow/runs/create
POST 2.0/mlflow/runs/delete
POST 2.0/mlflow/runs/delete-tag
POST 2.0/mlflow/runs/log-batch
POST 2.0/mlflow/runs/log-inputs
POST 2.0/mlflow/runs/log-metric
POST 2.0/mlflow/runs/log-model
POST 2.0/mlflow/runs/log-parameter
POST 2.0/mlflow/runs/outputs
POST 2.0/mlflow/runs/restore
POST 2.0/mlflow/runs/set-tag
POST 2.0/mlflow/runs/update
PUT 2.0/mlflow-artifacts/artifacts/{path:path}
DELETE 2.0/mlflow-artifacts/artifacts/{path:path}
"""
"""Writes of MLflow's clients, below /api only: runs, models, versions, aliases and their files."""
_WRITES_OF_RETENTION = {
    "DELETE 2.0/mlflow-artifacts/artifacts/{path:path}",
    "POST 2.0/mlflow/model-versions/set-tag",
}


@dataclass(frozen=True)
class Rule:
    """Requests that reach MLflow. `writers` are those whose token they need; none: they are open."""

    method: str
    path: re.Pattern[str]
    writers: frozenset[str] = frozenset()


def rule_for(method: str, path: str) -> Rule | None:
    """The rule for a request; None if it is not served. HEAD counts as GET."""
    wanted = "GET" if method == "HEAD" else method
    return next((rule for rule in RULES if rule.method == wanted and rule.path.fullmatch(path)), None)


def _rules() -> Iterator[Rule]:
    for line in _lines(_OPEN):
        yield _rule(line)
    for line in _lines(_OPEN_API):
        yield _rule(line, "/api/")
        yield _rule(line, "/ajax-api/")
    for line in _lines(_WRITES):
        writers = {TRAINER, RETENTION} if line in _WRITES_OF_RETENTION else {TRAINER}
        yield _rule(line, "/api/", frozenset(writers))


def _lines(text: str) -> list[str]:
    return text.split("\n")[1:-1]


def _rule(line: str, prefix: str = "", writers: frozenset[str] = frozenset()) -> Rule:
    method, path = line.split(" ")
    pattern = re.escape(prefix + path).replace(r"\{path:path\}", ".+")
    return Rule(method, re.compile(re.sub(r"\\{\w+\\}", "[^/]+", pattern)), writers)


RULES = tuple(_rules())
