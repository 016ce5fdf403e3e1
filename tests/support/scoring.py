"""Runs `make score` in a deployment, and reads what it writes."""

import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.listings import KINDS, api_rows
from support.models import Models
from support.testbed import Testbed
from veleta.intervals import AdjustedLevel
from veleta.ports import INTERVAL_LEVEL

COMMAND = [sys.executable, "-m", "veleta_inference.score"]


def champion(testbed: Testbed) -> Models:
    """Version 1, which has intervals, whose level was adjusted."""
    models = Models(testbed)
    version = models.register(rows=[row for place in range(len(KINDS)) for row in api_rows(place, 200, 1)])
    models.registry.set_tag(version.number, INTERVAL_LEVEL, str(AdjustedLevel(1, 0, 0.9)))
    models.decide(version)
    return models


def new_rows(count: int, seed: int = 2) -> list[dict[str, Any]]:
    """Rows of all kinds. Some have values that the champion has not learnt."""
    rows = [dict(row) for place in range(len(KINDS)) for row in api_rows(place, count // len(KINDS), seed)]
    for number, row in enumerate(rows):
        if number % 50 == 0:
            row |= {"city": f"Ávila {number}", "bed": 40.0}
    return rows


def environment(testbed: Testbed, **variables: object) -> dict[str, str]:
    """That of `make score`: without a login."""
    found = testbed.environment("score") | {name.upper(): str(value) for name, value in variables.items()}
    found = {name: value for name, value in found.items() if name not in ("KAFKA_USER", "KAFKA_PASSWORD")}
    return found | {"KAFKA_BOOTSTRAP": testbed.anonymous.bootstrap}


def score(testbed: Testbed, **variables: object) -> "subprocess.CompletedProcess[str]":
    """Run the command until it ends, with one process for the rows."""
    given = environment(testbed, **{"workers": 1, **variables})
    return subprocess.run(COMMAND, env=given, capture_output=True, text=True, check=False, timeout=300)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write a CSV file. The first row has all columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
