"""Parse a response of the data API: a batch, the end of the data, or an invalid response."""

import json
import re
import unicodedata
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import orjson

from veleta.batches import Rows, RowsDigest
from veleta.dataset import Dataset
from veleta.errors import MAX_REASON_LENGTH
from veleta_poller.domain.findings import (
    match_column_names,
    repeated_rows,
    schema_findings,
    strip_column_names,
    value_findings,
)
from veleta_poller.domain.refusals import describe_content, describe_error, describe_undecodable
from veleta_poller.domain.sequence import MAX_BATCH_NUMBER

END_DETAIL = "ya se recolecto toda la informacion minima necesaria"
HTTP_OK = 200
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
"""The integers that JSON in the topics can hold. Others become floats or text."""
MAX_DIGITS = len(str(MAX_INTEGER))
WHOLE_NUMBER = re.compile("[0-9]{1,9}")
MAX_SHOWN = 60
"""Characters of a wrong value that a reason shows."""
LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Batch:
    """Rows as received, except that columns have their declared names and all values can be written as JSON."""

    number: int
    rows: Rows
    digest: str
    findings: list[str] = field(default_factory=list)
    group: int | None = None


@dataclass(frozen=True)
class EndOfData:
    """The API has returned all batches."""


@dataclass(frozen=True)
class InvalidResponse:
    """Neither a batch nor the end of the data. `reason` has at most MAX_REASON_LENGTH characters.

    The next batch has the `finding`, if there is one.
    """

    reason: str
    finding: str = ""


Response = Batch | EndOfData | InvalidResponse


def parse_response(status: int, body: bytes, group: int, dataset: Dataset) -> Response:
    """Parse a response to a request for the batches of `group`."""
    try:
        content = _decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return _invalid(describe_undecodable(status, body, error))
    if isinstance(content, dict) and _is_end(content.get("detail")):
        return EndOfData()
    if status != HTTP_OK:
        return _invalid(describe_error(status, body, content))
    if not isinstance(content, dict) or "batch_number" not in content:
        return _invalid(describe_content(status, body, "without batch_number"))
    return _parse_batch(content, group, dataset)


def _invalid(reason: str) -> InvalidResponse:
    return InvalidResponse(" ".join(reason.split())[:MAX_REASON_LENGTH])


def _is_end(detail: object) -> bool:
    """Accents, case, surrounding spaces and a final period are ignored: responses differed in them."""
    if not isinstance(detail, str):
        return False
    letters = unicodedata.normalize("NFKD", detail)
    folded = "".join(c for c in letters if not unicodedata.combining(c)).casefold()
    return folded.strip().removesuffix(".").rstrip() == END_DETAIL


def _parse_batch(content: dict[str, Any], group: int, dataset: Dataset) -> Batch | InvalidResponse:
    number = _whole(content["batch_number"])
    if number is None or not 0 <= number <= MAX_BATCH_NUMBER:
        shown = _shown(content["batch_number"])
        return _invalid(f"batch_number is {shown}, not a whole number from 0 to {MAX_BATCH_NUMBER}")
    if (other := content.get("group_number")) is not None and _whole(other) != group:
        what = f"batch {number} is of group {_shown(other)}, not of group {group}"
        return replace(_invalid(f"{what}: is GROUP_NUMBER right?"), finding=f"refused: {what}")
    if fault := _rows_fault(content):
        return _invalid(f"batch {number} has {fault}")
    rows: Rows = content["data"]
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            return _invalid(f"row {index} of batch {number} is {_shown(row)}, not an object with a value per column")
    named = [*strip_column_names(rows), *match_column_names(rows, dataset)]
    findings = [*_day_findings(content), *named, *schema_findings(rows, dataset), *value_findings(rows, dataset)]
    digest = RowsDigest()
    try:
        # In an event the rows are nested two levels deeper, which may exceed the depth that orjson writes.
        orjson.dumps({"rows": [row for row in rows if any(isinstance(value, dict | list) for value in row.values())]})
        digest.add(rows)
        findings += repeated_rows(rows)
    except orjson.JSONEncodeError as error:
        return _invalid(f"a row of batch {number} cannot be written as JSON: {error}")
    return Batch(number, rows, digest.hexdigest(), findings, group)


def _rows_fault(content: dict[str, Any]) -> str:
    """What is wrong with the rows of a batch as a whole. Empty if nothing is."""
    if "data" not in content:
        return f"no `data`, only {', '.join(content)}"
    if not isinstance(content["data"], list):
        return f"no list of rows in `data`, but {_shown(content['data'])}"
    return "" if content["data"] else "no rows"


def _day_findings(content: dict[str, Any]) -> list[str]:
    """A finding if the batch is of one day: the poller asks for none."""
    day = content.get("day")
    return [] if day is None else [f"another day: the batch is of day {_shown(day)}, and none was asked for"]


def _whole(value: object) -> int | None:
    """A whole number, also as text or with a decimal point: 15, "15" and 15.0 are the same."""
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == int(value) else None


def _shown(value: object) -> str:
    """The beginning of a JSON value."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


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
