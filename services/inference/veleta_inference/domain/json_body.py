"""Decodes JSON, and recognises what is sent instead of it."""

import json
import re

from veleta_inference.domain.errors import MAX_NAME, UnreadableBody

_COMPARED_BYTES = 4096
"""The first bytes of a body, in which its format is recognised."""
_OBJECT = "send a JSON object with the columns (/docs has examples)"
_LIST = "send a JSON list with an object for each row (/docs has examples)"
_FORMATS = {
    rb"\s*\Z": f"it is empty: {_OBJECT}",
    rb"\x1f\x8b": "it is compressed with gzip: send the header Content-Encoding: gzip",
    rb"\xef\xbb\xbf": "it begins with a byte order mark (BOM): send it without",
    rb"\xff\xfe|\xfe\xff|[\[{]\0|\0+[\[{]": "it is UTF-16 or UTF-32",
    rb"\s*<": f"it looks like XML or HTML: {_OBJECT}",
    rb"--\S{1,72}\r?\n": f"it is a form (multipart): {_OBJECT}",
    rb"[\w.%+\[\]-]+=": f"it is a form (name=value): {_OBJECT}",
    rb"\s*(\[\s*)?\{\s*'": "it has single quotes: JSON has double quotes",
    rb"\s*\{[^\n]*\}[ \t\r]*+\n\s*+\{": f"it has a JSON document in each line: {_LIST}",
    rb"[^{}\[\]:,;\t\n]*+[,;\t][^{}\[\]\n]*+(\n|\Z)": f"it looks like CSV: {_LIST}",
}
"""What a body is, and what to do, by a pattern of its start. The first one that matches counts.

Each pattern takes linear time, also for a hostile body."""


def parse_json(body: bytes) -> object:
    """The decoded body. NaN and infinities are accepted, although they are not JSON, so that a message can name them.

    Raises:
        UnreadableBody: it is not JSON in UTF-8, or an object has one name twice.
    """
    try:
        decoded = json.loads(body.decode(), parse_int=float, object_pairs_hook=_unique_names)
        json.dumps(decoded, ensure_ascii=False).encode()  # half a surrogate pair cannot be stored in a table
    except (ValueError, RecursionError) as error:
        raise UnreadableBody("the body is not JSON in UTF-8", _format(body) or str(error)[:200]) from error
    return decoded


def _format(body: bytes) -> str | None:
    start = body[:_COMPARED_BYTES]
    return next((advice for pattern, advice in _FORMATS.items() if re.match(pattern, start)), None)


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict[str, object]()
    for name, value in pairs:
        if name in values:
            raise UnreadableBody("two values with one name", name[:MAX_NAME])
        values[name] = value
    return values
