"""Parse a response of the data API: a batch, the end of the data, or an invalid response."""

import json
import re
import unicodedata
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import orjson

from veleta.batches import Rows, RowsDigest
from veleta.dataset import Dataset
from veleta.errors import MAX_REASON_LENGTH
from veleta_poller.domain.findings import schema_findings, strip_column_names, value_findings

END_DETAIL = "ya se recolecto toda la informacion minima necesaria"
HTTP_OK = 200
MAX_BATCH_NUMBER = 9_999
"""A greater number is an error of the API: an event is published for each batch number that is skipped."""
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
"""The integers that JSON in the topics can hold. Others become floats or text."""
MAX_DIGITS = len(str(MAX_INTEGER))
LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Batch:
    """Rows as received, except that column names are stripped and all values can be written as JSON."""

    number: int
    rows: Rows
    digest: str
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EndOfData:
    """The API has returned all batches."""


@dataclass(frozen=True)
class InvalidResponse:
    """Neither a batch nor the end of the data. `reason` has at most MAX_REASON_LENGTH characters."""

    reason: str


Response = Batch | EndOfData | InvalidResponse


def parse_response(status: int, text: str, dataset: Dataset) -> Response:
    """Parse the body of a response with this HTTP status."""
    try:
        body = _decode(text)
    except (ValueError, RecursionError) as error:
        return _invalid(f"not JSON: {error}" if status == HTTP_OK else f"HTTP {status}, not JSON: {error}")
    if isinstance(body, dict) and _is_end(body.get("detail")):
        return EndOfData()
    if status != HTTP_OK:
        detail = body.get("detail", "") if isinstance(body, dict) else ""
        return _invalid(f"HTTP {status} {detail}".strip())
    return _parse_batch(body, dataset)


def _invalid(reason: str) -> InvalidResponse:
    return InvalidResponse(reason[:MAX_REASON_LENGTH])


def _is_end(detail: object) -> bool:
    """Accents, case, surrounding spaces and a final period are ignored: responses differed in them."""
    if not isinstance(detail, str):
        return False
    letters = unicodedata.normalize("NFKD", detail)
    folded = "".join(c for c in letters if not unicodedata.combining(c)).casefold()
    return folded.strip().removesuffix(".").rstrip() == END_DETAIL


def _parse_batch(body: object, dataset: Dataset) -> Batch | InvalidResponse:
    if not isinstance(body, dict):
        return _invalid("the body is not an object")
    number, rows = body.get("batch_number"), body.pop("data", None)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_BATCH_NUMBER:
        detail = f" (detail: {body['detail']})" if "detail" in body else ""
        return _invalid(f"batch_number is missing or invalid{detail}")
    if not isinstance(rows, list) or not rows:
        return _invalid("the batch is empty" if rows == [] else "data is missing or not a list")
    if not all(isinstance(row, dict) for row in rows):
        return _invalid("a row is not an object")
    findings = [*strip_column_names(rows), *schema_findings(rows, dataset), *value_findings(rows, dataset)]
    digest = RowsDigest()
    try:
        # In an event the rows are nested two levels deeper, which may exceed the depth that orjson writes.
        orjson.dumps({"rows": [row for row in rows if any(isinstance(value, dict | list) for value in row.values())]})
        digest.add(rows)
    except orjson.JSONEncodeError as error:
        return _invalid(f"a row cannot be written as JSON: {error}")
    return Batch(number, rows, digest.hexdigest(), findings)


def _decode(text: str) -> Any:
    body = json.loads(text, parse_constant=str, parse_float=_float, parse_int=_integer)
    return _replace_lone_surrogates(body) if LONE_SURROGATE.search(text) else body


def _float(text: str) -> float | str:
    value = float(text)
    return value if isfinite(value) else text


def _integer(text: str) -> int | float | str:
    if len(text) <= MAX_DIGITS and MIN_INTEGER <= (value := int(text)) <= MAX_INTEGER:
        return value
    return _float(text)


def _replace_lone_surrogates(value: Any) -> Any:
    """UTF-8 cannot encode half of a surrogate pair, so it becomes the replacement character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_replace_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_lone_surrogates(k): _replace_lone_surrogates(v) for k, v in value.items()}
    return value
