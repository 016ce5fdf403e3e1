"""The JSON of a body: what it decodes, and what it recognises instead of JSON."""

import gzip
import json

import pytest

from veleta_inference.domain.errors import UnreadableBody
from veleta_inference.domain.json_body import parse_json

ROW = b'{"bed": 4, "city": "Aville"}'


@pytest.mark.parametrize("body", [b"NaN", b"[NaN]", b'{"a": Infinity}', b'{"a": 1e999}', b"1" * 5000])
def test_numbers_that_are_not_json_are_decoded(body: bytes) -> None:
    """So that the response can name the field."""
    parse_json(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "it is empty: send a JSON object with the columns"),
        (b" \r\n", "it is empty"),
        (b"bed,bath\n4,2\n5,3", "it looks like CSV: send a JSON list with an object for each row"),
        (b"4;2;Aville", "it looks like CSV"),
        (b"bed\tbath\n", "it looks like CSV"),
        (ROW + b"\n" + ROW + b"\n", "it has a JSON document in each line: send a JSON list"),
        (b"bed=4&bath=2", r"it is a form \(name=value\)"),
        (b"--abc-1\r\nContent-Disposition: form-data", r"it is a form \(multipart\)"),
        (b"<item/>", "it looks like XML or HTML"),
        (b"[{'bed': 4}]", "it has single quotes: JSON has double quotes"),
        (gzip.compress(ROW, mtime=0), "send the header Content-Encoding: gzip"),
        (b"\xef\xbb\xbf" + ROW, r"byte order mark \(BOM\): send it without"),
        (ROW.decode().encode("utf-16"), "it is UTF-16 or UTF-32"),
        (ROW.decode().encode("utf-32-be"), "it is UTF-16 or UTF-32"),
        (ROW[:-1] + b",}", "line 1 column"),
        (ROW + b" " + ROW, "Extra data: line 1 column"),
        (b"four", "Expecting value: line 1 column 1"),
        (b"\0" * 1_000, "Expecting value: line 1 column 1"),
        (b'{"city": "\xe9"}', "can't decode byte 0xe9 in position 10"),
        (b'{"city": "\\ud800"}', "surrogates not allowed"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_body_that_is_not_json_in_utf8_is_unreadable(body: bytes, message: str) -> None:
    """The message shows what it is and what to send, or else where the JSON is wrong."""
    with pytest.raises(UnreadableBody, match=f"the body is not JSON in UTF-8: .*{message}"):
        parse_json(body)


@pytest.mark.parametrize("body", [b'{"bed": 1, "bed": 1}', b'[{"bed": 1, "b\\u0065d": 1}]'])
def test_a_repeated_name_is_unreadable(body: bytes) -> None:
    """Otherwise two programs could read two different requests."""
    with pytest.raises(UnreadableBody, match="two values with one name: bed"):
        parse_json(body)


def test_a_long_body_is_not_sent_back() -> None:
    """Neither its values nor its names."""
    for body in (b"x" * 1_000_000, json.dumps({"x" * 100_000: 1})[:-1].encode(), b"bed," * 100_000):
        with pytest.raises(UnreadableBody) as refusal:
            parse_json(body)
        assert len(str(refusal.value)) < 300
