"""Writes the committed files that are generated: schemas, OpenAPI, `.env.example`, pages, rows, MLflow's routes.

`make contracts` runs it; the tests compare each file with the code. Golden examples are written by hand, once for each
event and version, and never change.
"""

import json
from pathlib import Path
from typing import Any

from support.bicycles import BICYCLES_CSV, bicycles_csv
from support.mlflow_routes import ROUTES, routes_text
from support.reference.blocks import pages_with_blocks
from support.reference.env_example import ENV_EXAMPLE, env_example
from support.reference.events import EVENTS, events_page
from support.reference.failures import FAILURE_TESTS, FAILURES, failure_tests_page, failures_page
from support.reference.http import openapi
from veleta.events.catalogue import PAYLOADS, Payload

CONTRACT = Path(__file__).parents[1] / "contract"
SCHEMAS, EXAMPLES = CONTRACT / "schemas", CONTRACT / "examples"
OPENAPI = Path(__file__).parents[2] / "docs/openapi.json"
REGENERATE = "`make contracts` writes it again"


def file_name(schema: str) -> str:
    """The file of an event's schema or example: `batch.closed.1.json` for `batch.closed/1`."""
    return f"{schema.replace('/', '.')}.json"


def schema_text(payload: type[Payload]) -> str:
    """The JSON Schema of what readers accept of an event."""
    return json.dumps(payload.model_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def openapi_text(dataset: str) -> str:
    """The OpenAPI document of a dataset, as it is committed for real_estate."""
    return json.dumps(openapi(dataset), indent=2, ensure_ascii=False) + "\n"


def example(schema: str) -> dict[str, Any]:
    """The golden example of an event."""
    return dict(json.loads((EXAMPLES / file_name(schema)).read_text()))


def stale() -> list[Path]:
    """The committed files that differ from the code."""
    return [path for path, text in _generated().items() if not path.exists() or path.read_text() != text]


def main() -> None:
    """Write what differs."""
    texts = _generated()
    for path in stale():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path])


def _generated() -> dict[Path, str]:
    schemas = {SCHEMAS / file_name(name): schema_text(payload) for name, payload in PAYLOADS.items()}
    whole = {EVENTS: events_page(example), OPENAPI: openapi_text("real_estate"), ENV_EXAMPLE: env_example()}
    rows = {BICYCLES_CSV: bicycles_csv(), ROUTES: routes_text()}
    failures = {FAILURES: failures_page(), FAILURE_TESTS: failure_tests_page()}
    return {**schemas, **whole, **failures, **rows, **pages_with_blocks()}


if __name__ == "__main__":
    main()
