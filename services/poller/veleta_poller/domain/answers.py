"""What an answer of the API is: a batch, the end of the data, or something to refuse."""

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
from veleta_poller.domain.findings import strip_keys, unexpected, unfit

END = "ya se recolecto toda la informacion minima necesaria"
HTTP_OK = 200
GREATEST_NUMBER = 9_999
"""Beyond it a number is no batch's: each batch that it passes over would be told of as missed."""
LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**64 - 1
"""The integers that JSON in the topics may hold; beyond them a number becomes a float, or text."""
DIGITS = len(str(GREATEST_INTEGER))
LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Batch:
    """Rows as received, but for keys without spaces around them and values that JSON can hold."""

    number: int
    rows: Rows
    digest: str
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class End:
    """All batches were handed out."""


@dataclass(frozen=True)
class Refused:
    """No batch; `reason` is short."""

    reason: str


Answer = Batch | End | Refused


def parse(status: int, text: str, dataset: Dataset) -> Answer:
    """What an answer with this HTTP status and this body is."""
    try:
        body = _decode(text)
    except (ValueError, RecursionError) as error:
        return _refused(status, f"not JSON: {error}")
    if isinstance(body, dict) and _is_end(body.get("detail")):
        return End()
    if status != HTTP_OK:
        detail = body.get("detail", "") if isinstance(body, dict) else ""
        return _refused(status, f"HTTP {status} {detail}".strip())
    return _batch(body, dataset)


def _refused(status: int, reason: str) -> Refused:
    known = reason if status == HTTP_OK or reason.startswith("HTTP") else f"HTTP {status}, {reason}"
    return Refused(known[:MAX_REASON_LENGTH])


def _is_end(detail: object) -> bool:
    """Accents, case, spaces around and a final period were seen to differ."""
    if not isinstance(detail, str):
        return False
    letters = unicodedata.normalize("NFKD", detail)
    folded = "".join(c for c in letters if not unicodedata.combining(c)).casefold()
    return folded.strip().removesuffix(".").rstrip() == END


def _batch(body: object, dataset: Dataset) -> Batch | Refused:
    if not isinstance(body, dict):
        return Refused("the body is no object")
    number, rows = body.get("batch_number"), body.pop("data", None)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= GREATEST_NUMBER:
        detail = f" (detail: {body['detail']})" if "detail" in body else ""
        return Refused(f"batch_number is missing or no number of a batch{detail}"[:MAX_REASON_LENGTH])
    if not isinstance(rows, list) or not rows:
        return Refused("data is missing or no list" if not isinstance(rows, list) else "the batch is empty")
    if not all(isinstance(row, dict) for row in rows):
        return Refused("a row is no object")
    findings = [*strip_keys(rows), *unexpected(rows, dataset), *unfit(rows, dataset)]
    digest = RowsDigest()
    try:
        orjson.dumps({"rows": [row for row in rows if any(isinstance(value, dict | list) for value in row.values())]})
        digest.add(rows)
    except orjson.JSONEncodeError as error:
        return Refused(f"a row cannot be written as JSON: {error}"[:MAX_REASON_LENGTH])
    return Batch(number, rows, digest.hexdigest(), findings)


def _decode(text: str) -> Any:
    body = json.loads(text, parse_constant=str, parse_float=_float, parse_int=_integer)
    return _without_lone_surrogates(body) if LONE_SURROGATE.search(text) else body


def _float(text: str) -> float | str:
    value = float(text)
    return value if isfinite(value) else text


def _integer(text: str) -> int | float | str:
    if len(text) <= DIGITS and LEAST_INTEGER <= (value := int(text)) <= GREATEST_INTEGER:
        return value
    return _float(text)


def _without_lone_surrogates(value: Any) -> Any:
    """UTF-8 cannot hold half a surrogate pair: it becomes the replacement character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_lone_surrogates(k): _without_lone_surrogates(v) for k, v in value.items()}
    return value
