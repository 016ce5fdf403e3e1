"""The committed OpenAPI document: it is up to date, valid, and complete."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from support.bicycles import BICYCLES
from support.contracts import OPENAPI, REGENERATE, openapi_text
from support.memory_inference import MemoryInference
from veleta.dataset import load_dataset
from veleta.service.routes import health_routes
from veleta_inference.adapters import docs
from veleta_inference.adapters.guard import OPEN

DATASETS = ("real_estate", "listings", str(BICYCLES))
every_dataset = pytest.mark.parametrize("name", DATASETS, ids=["real_estate", "listings", "bicycles"])
Document = dict[str, Any]


def document(name: str) -> Document:
    return dict(json.loads(openapi_text(name)))


def operations(openapi: Document) -> Iterator[tuple[str, str, Document]]:
    """Method, path and operation."""
    for path, item in openapi["paths"].items():
        for method in item.keys() - {"parameters"}:
            yield method.upper(), path, item[method]


def test_the_committed_document_is_the_generated_one() -> None:
    """So a change of the HTTP API is visible in a review."""
    assert OPENAPI.read_text() == openapi_text("real_estate"), f"docs/openapi.json: {REGENERATE}"


@every_dataset
def test_it_is_an_openapi_document(name: str) -> None:
    """According to the metaschema of version 3.1, for each dataset."""
    openapi = document(name)
    assert openapi["openapi"] == "3.1.0"
    validate(openapi, cls=OpenAPIV31SpecValidator)


def test_an_invalid_document_is_detected() -> None:
    """The check can fail: here on an operation with responses of the wrong type."""
    openapi = document("real_estate")
    openapi["paths"]["/predict"]["post"]["responses"] = []
    with pytest.raises(OpenAPIValidationError):
        validate(openapi, cls=OpenAPIV31SpecValidator)


async def test_each_route_is_in_the_document_and_nothing_else() -> None:
    """All routes, except those of the document itself and its page."""
    app = MemoryInference().application
    app.add_routes(health_routes())
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD" and route.resource.canonical not in docs.PATHS
    }
    assert routes == {(method, path) for method, path, _ in operations(document("real_estate"))}


def test_the_document_shows_which_paths_need_no_key() -> None:
    """These operations are open, and all others can respond with 401."""
    openapi = document("real_estate")
    open_paths = {path for _, path, operation in operations(openapi) if operation.get("security") == []}
    assert open_paths == OPEN - set(docs.PATHS)
    guarded = {path for _, path, operation in operations(openapi) if "401" in operation["responses"]}
    assert guarded == openapi["paths"].keys() - open_paths


@every_dataset
def test_the_columns_are_the_datasets(name: str) -> None:
    """Those are required that the model uses, if they are not optional. The others, but the target, may be null.

    Numbers have the file's minimum. Other names are forbidden.
    """
    dataset, item = load_dataset(name), document(name)["components"]["schemas"]["Item"]
    assert item["required"] == [column.name for column in dataset.inputs if column.required]
    schemas = {name: schema.get("anyOf", [schema]) for name, schema in item["properties"].items()}
    null = [name for name, parts in schemas.items() if {"type": "null"} in parts]
    assert null == [column.name for column in dataset.inputs if not column.required]
    minima = {name: part["minimum"] for name, parts in schemas.items() for part in parts if "minimum" in part}
    assert minima == {c.name: c.minimum for c in dataset.columns if c.minimum is not None}
    assert item["additionalProperties"] is False


@every_dataset
def test_the_examples_fit_their_schemas(name: str) -> None:
    """The examples of each request body."""
    openapi, count = document(name), 0
    for _, _, operation in operations(openapi):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content["schema"] | {"components": openapi["components"]}
            for example in content["examples"].values():
                jsonschema.validate(example["value"], schema, jsonschema.Draft202012Validator)
                count += 1
    assert count == 10
