"""The table of docs/reference/http.md: every path of inference, from its OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from support.reference.tables import table
from veleta.dataset import load_dataset
from veleta_inference.adapters.openapi import document
from veleta_inference.settings import InferenceSettings


def items_limit() -> int:
    """The number of items that one request may have by default."""
    return int(InferenceSettings.model_fields["items_limit"].default)


def openapi(dataset: str) -> dict[str, Any]:
    """The OpenAPI document of a dataset, with the default settings."""
    return document(load_dataset(dataset), items_limit())


def http_paths() -> str:
    """Each request with what it returns, whether it needs a key, and its statuses."""
    return table(("request", "returns", "key", "statuses"), _rows(openapi("real_estate")["paths"]))


def _rows(paths: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for path, operations in paths.items():
        for method, operation in operations.items():
            if "responses" in operation:
                key = "no" if operation.get("security") == [] else "yes"
                statuses = ", ".join(sorted(operation["responses"]))
                yield f"{method.upper()} `{path}`", operation["summary"], key, statuses
