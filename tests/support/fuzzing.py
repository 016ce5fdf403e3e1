"""Requests made up from the committed OpenAPI document, right ones and wrong ones, and what is asked of each answer."""

import json
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from support.contracts import OPENAPI
from support.serving import DATASET

BY_COLUMN = ("/invocations", "/infer")
"""Bodies of which no schema can say all: that each column is there, and that all are of one length."""


def made_up() -> schemathesis.BaseSchema:
    """All operations, to be parametrised by: examples, edge cases, and as many by chance as hypothesis is told."""
    schema = schemathesis.openapi.from_dict(json.loads(OPENAPI.read_text()))
    # What is wrong may also be too large.
    schema.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
    return schema


def answered_as_documented(case: schemathesis.Case[Any], model: str, url: str) -> None:
    """No 5xx, a status of the document, its headers and its schema; what is right is taken, what is wrong refused.

    `model` is what the committed document's model is called at this `url`.
    """
    if case.path_parameters.get("model") == DATASET.name:
        case.path_parameters["model"] = model
    untold: list[schemathesis.CheckFunction] = (
        [positive_data_acceptance] if case.operation.path.endswith(BY_COLUMN) else []
    )
    case.call_and_validate(base_url=url, excluded_checks=untold)
