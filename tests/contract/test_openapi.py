"""What is committed of the HTTP API: one document, which says what the service does and no more."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from support.contracts import OPENAPI, REGENERATE, openapi_text
from support.house import ROOT
from support.serving import Front
from veleta.dataset import load_dataset
from veleta.service.routes import health_routes
from veleta_inference.adapters import docs
from veleta_inference.adapters.guard import OPEN

DATASETS = ("real_estate", str(ROOT / "tests/datasets/bicycles.toml"))
every_dataset = pytest.mark.parametrize("name", DATASETS, ids=["real_estate", "bicycles"])
Document = dict[str, Any]


def document(name: str) -> Document:
    return dict(json.loads(openapi_text(name)))


def operations(said: Document) -> Iterator[tuple[str, str, Document]]:
    """Method, path and operation."""
    for path, item in said["paths"].items():
        for method in item.keys() - {"parameters"}:
            yield method.upper(), path, item[method]


def test_the_committed_document_is_the_generated_one() -> None:
    """A change of what clients can ask is seen in review."""
    assert OPENAPI.read_text() == openapi_text("real_estate"), f"docs/openapi.json: {REGENERATE}"


@every_dataset
def test_it_is_an_openapi_document(name: str) -> None:
    """By the metaschema of version 3.1, whatever the dataset."""
    said = document(name)
    assert said["openapi"] == "3.1.0"
    validate(said, cls=OpenAPIV31SpecValidator)


def test_a_document_that_is_none_is_seen() -> None:
    """The check can fail: an operation without responses in the right place, a parameter that is nowhere."""
    said = document("real_estate")
    said["paths"]["/predict"]["post"]["responses"] = []
    with pytest.raises(OpenAPIValidationError):
        validate(said, cls=OpenAPIV31SpecValidator)


async def test_each_route_is_in_the_document_and_nothing_else() -> None:
    """All that the service answers, but for the document itself and its page."""
    pages = Front().pages
    pages.add_routes(health_routes())
    routes = {
        (route.method, route.resource.canonical)
        for route in pages.router.routes()
        if route.resource and route.method != "HEAD" and route.resource.canonical not in docs.PATHS
    }
    assert routes == {(method, path) for method, path, _ in operations(document("real_estate"))}


def test_the_document_says_what_is_open() -> None:
    """Those operations that need no key where keys are asked for."""
    said = document("real_estate")
    told = {path for _, path, operation in operations(said) if operation.get("security") == []}
    assert told == OPEN - set(docs.PATHS)
    refused = {path for _, path, operation in operations(said) if "401" in operation["responses"]}
    assert refused == said["paths"].keys() - told


@every_dataset
def test_the_columns_are_the_datasets(name: str) -> None:
    """All but the target must be sent; numbers have the file's minimum; nothing else may be sent."""
    dataset, item = load_dataset(name), document(name)["components"]["schemas"]["Item"]
    assert item["required"] == [column.name for column in dataset.inputs]
    minima = {column: schema["minimum"] for column, schema in item["properties"].items() if "minimum" in schema}
    assert minima == {c.name: c.minimum for c in dataset.columns if c.minimum is not None}
    assert item["additionalProperties"] is False


@every_dataset
def test_the_examples_fit_their_schemas(name: str) -> None:
    """Those of each request body."""
    said, count = document(name), 0
    for _, _, operation in operations(said):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content["schema"] | {"components": said["components"]}
            for example in content["examples"].values():
                jsonschema.validate(example["value"], schema, jsonschema.Draft202012Validator)
                count += 1
    assert count == 10
