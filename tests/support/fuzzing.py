"""Requests generated from the committed OpenAPI document, valid and invalid ones, and the check of each response."""

import json
import re
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from support.contracts import OPENAPI
from support.memory_inference import DATASET
from veleta_inference.adapters.keyed_answers import IDEMPOTENCY_KEY, KEY_PATTERN

BY_COLUMN = ("/invocations", "/infer")
"""Paths whose bodies no schema describes completely: every column must be present, and all must have one length."""


def generated() -> schemathesis.BaseSchema:
    """All operations, for `parametrize`: examples, edge cases, and random requests."""
    schema = schemathesis.openapi.from_dict(json.loads(OPENAPI.read_text()))
    # An invalid request may also be too large.
    schema.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
    return schema


def check_response(case: schemathesis.Case[Any], model: str, url: str) -> None:
    """Send a request. The response must not be 5xx, and must match the document; only valid requests are accepted.

    `model` is the name of the model at this `url`. The committed document has another.
    """
    if case.path_parameters.get("model") == DATASET.name:
        case.path_parameters["model"] = model
    if re.fullmatch(KEY_PATTERN, case.headers.get(IDEMPOTENCY_KEY, "")):
        # A key that another generated request has used is refused with 422, as it must be.
        case.headers[IDEMPOTENCY_KEY] = uuid4().hex
    excluded: list[schemathesis.CheckFunction] = (
        [positive_data_acceptance] if case.operation.path.endswith(BY_COLUMN) else []
    )
    case.call_and_validate(base_url=url, excluded_checks=excluded)
