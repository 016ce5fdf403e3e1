"""Runs `make replay` in a deployment, and reads drift's tables."""

import subprocess
import sys
from typing import Any

import sqlalchemy as sa

from support.testbed import Testbed
from veleta.tables import (
    batch_errors,
    dataset_tables,
    drift_metrics,
    drift_reports,
    drift_tests,
    drift_verdicts,
    retrain_verdicts,
)


def replay(testbed: Testbed, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The command, as `make replay` runs it: without a login at Kafka, and as the administrator of MySQL."""
    environment = testbed.environment("drift", "admin") | {name.upper(): value for name, value in variables.items()}
    environment = {name: value for name, value in environment.items() if name not in ("KAFKA_USER", "KAFKA_PASSWORD")}
    environment["KAFKA_BOOTSTRAP"] = testbed.anonymous.bootstrap
    command = [sys.executable, "-m", "veleta_drift.replay"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def drift_rows(testbed: Testbed) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all of drift's tables, without times."""
    comparison = dataset_tables(testbed.dataset).comparison
    tables = (drift_reports, drift_metrics, comparison, drift_verdicts, drift_tests, batch_errors, retrain_verdicts)
    found = {}
    for table in tables:
        columns = [column for column in table.columns if not isinstance(column.type, sa.DateTime)]
        rows = testbed.sql(sa.select(*columns).order_by(*table.primary_key))
        found[table.name] = [tuple(row) for row in rows]
    return found
