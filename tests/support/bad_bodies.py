"""Bad request bodies, and the expected response to each."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from support.inference import ITEMS_LIMIT
from support.memory_inference import DATASET
from veleta_inference.domain.protocols import input_tensors
from veleta_inference.settings import InferenceSettings

Row = Mapping[str, Any]
AsBody = Callable[[Row], Any]
BODY_LIMIT = int(InferenceSettings.model_fields["body_limit"].default)
GZIP = {"Content-Encoding": "gzip"}
NOT_JSON = "the body is not JSON in UTF-8"
ROW: Row = {column.name: DATASET.example[column.name] for column in DATASET.inputs}
NUMBER = next(column for column in DATASET.inputs if column.kind == "number")
TEXT = next(column for column in DATASET.inputs if column.kind == "category")


@dataclass(frozen=True)
class Bad:
    """A body and its headers, and the response: its status, and a part of its text."""

    name: str
    body: bytes
    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def _tensors(row: Row) -> Any:
    return {"inputs": [{**tensor, "shape": [1], "data": [row[tensor["name"]]]} for tensor in input_tensors(DATASET)]}


PATHS: Mapping[str, AsBody] = {
    "/predict": lambda row: row,
    "/explain": lambda row: row,
    "/invocations": lambda row: {"dataframe_records": [row]},
    "/v2/models/{model}/infer": _tensors,
}
"""The paths that accept bodies, and the body of a row for each."""


def corpus(as_body: AsBody) -> list[Bad]:
    """All bad bodies for a path, which accepts the body that `as_body` returns for a row."""
    good = json.dumps(as_body(ROW)).encode()
    return [*_unreadable(good), *_too_large(), *_of_another_shape(good), *_values(partial(_with, as_body))]


def _unreadable(good: bytes) -> list[Bad]:
    """Not JSON in UTF-8, or ambiguous JSON."""
    text = good.decode()
    return [
        Bad("nothing", b"", 400, "it is empty"),
        Bad("truncated", good[:-1], 400, NOT_JSON),
        Bad("trailing data", good + b"{}", 400, "Extra data"),
        Bad("XML", b"<item/>", 400, "it looks like XML", {"Content-Type": "application/xml"}),
        Bad("a form", b"a=4&b=2", 400, "it is a form", {"Content-Type": "application/x-www-form-urlencoded"}),
        Bad("CSV", b"bed,bath\n4,2\n", 400, "it looks like CSV", {"Content-Type": "text/csv"}),
        Bad("NDJSON", good + b"\n" + good, 400, "in each line", {"Content-Type": "application/x-ndjson"}),
        Bad("a word", b"four", 400, NOT_JSON, {"Content-Type": "text/plain"}),
        Bad("UTF-16", text.encode("utf-16"), 400, "it is UTF-16"),
        Bad("UTF-32", text.encode("utf-32-le"), 400, "it is UTF-16 or UTF-32"),
        Bad("Latin-1", b'{"\xe9": 1}', 400, NOT_JSON),
        Bad("a byte order mark", b"\xef\xbb\xbf" + good, 400, "begins with a byte order mark"),
        Bad("zeros", bytes(1_000), 400, NOT_JSON),
        Bad("a zero in a name", b'{"a\0b": 1}', 400, "Invalid control character"),
        Bad("deep lists", b"[" * 100_000, 400, "recursion"),
        Bad("deep objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, "recursion"),
        Bad("a name twice", b'{"inputs": 1, "inputs": 2}', 400, "two values with one name: inputs"),
        Bad("compressed without a header", gzip.compress(good), 400, "it is compressed"),
        Bad("not compressed, with a header", good, 400, "it is not gzip", GZIP),
        Bad("half of a compressed body", gzip.compress(good)[:40], 400, "the body is incomplete", GZIP),
    ]


def _too_large() -> list[Bad]:
    return [
        Bad("too large", b" " * 10 * BODY_LIMIT, 413, "size"),
        Bad("a bomb", gzip.compress(b" " * 50 * BODY_LIMIT), 413, "size", GZIP),
    ]


def _of_another_shape(good: bytes) -> list[Bad]:
    """JSON, but not a request."""
    names = {f"field {i}": i for i in range(40_000)}
    return [
        Bad("a number", b"3", 422),
        Bad("an empty list", b"[]", 422),
        Bad("an empty object", b"{}", 422),
        Bad("too many items", json.dumps([ROW] * (ITEMS_LIMIT + 1)).encode(), 422),
        Bad("lists in lists", b"[[[" + good + b"]]]", 422),
        Bad("many names", json.dumps(names).encode(), 422),
        Bad("a huge name", json.dumps({"x" * 500_000: 1}).encode(), 422),
    ]


def _values(with_value: Callable[[str, bytes], bytes]) -> list[Bad]:
    """One value is not valid for its column."""
    numbers = {
        "NaN": (b"NaN", "must be a finite number, not NaN"),
        "minus infinity": (b"-Infinity", "must be a finite number, not -Infinity"),
        "beyond all numbers": (b"1e400", "must be a finite number, not Infinity"),
        "400 digits": (b"9" * 400, "must be a finite number, not Infinity"),
        "400,000 digits": (b"9" * 400_000, "must be a finite number, not Infinity"),
        "text": (b'"four"', "'four' is no number"),
        "a number as text": (b'"4"', "'4' is text: write 4 without quotes"),
        "true": (b"true", "true is no number"),
        "a deep list": (b"[" * 500 + b"]" * 500, "a list is no number"),
        "an object": (b'{"a": {"b": [1, 2]}}', "an object is no number"),
    }
    return [
        *(Bad(name, with_value(NUMBER.name, value), 422, text) for name, (value, text) in numbers.items()),
        Bad("far below the minimum", with_value(NUMBER.name, b"-1e308"), 422, "must be at least 0, not -1e+308"),
        Bad("null", with_value(NUMBER.name, b"null"), 422, "must not be null"),
        Bad("half a character", with_value(TEXT.name, rb'"\ud800"'), 400, NOT_JSON),
        Bad(
            "a huge text",
            with_value(TEXT.name, b'"%b"' % (b"x" * 500_000)),
            422,
            "has 500,000 characters, and may have 255",
        ),
    ]


def _with(as_body: AsBody, name: str, value: bytes) -> bytes:
    """A good body with this value for one column."""
    place = "here"
    return json.dumps(as_body({**ROW, name: place})).encode().replace(json.dumps(place).encode(), value)
