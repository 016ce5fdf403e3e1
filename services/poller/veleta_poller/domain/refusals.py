"""Why a response of the data API is no batch, in words for the person who chose API_URL."""

import html
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from veleta.printable import printable

CHECK_URL = "is API_URL right?"
HINTS: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "is this the end of the data? See docs/data-api.md",
    HTTPStatus.NOT_FOUND: CHECK_URL,
    HTTPStatus.METHOD_NOT_ALLOWED: CHECK_URL,
    HTTPStatus.GONE: CHECK_URL,
}
"""What a status may mean."""
MAX_SHOWN = 100
"""Characters of a body that a reason shows."""
MAX_BEGINNING = 200
"""Characters of a body that an event shows."""
MAX_LOCATION = 120
"""Characters of the address of a redirect that a reason shows."""
MAX_READ = 20_000
"""Bytes of a body that are searched for a title."""
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
TAG = re.compile(r"<(script|style).*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def answered(status: int) -> str:
    """`GET /data answered 404 Not Found`."""
    phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else ""
    return f"GET /data answered {status} {phrase}".rstrip()


def describe_error(status: int, body: bytes, content: Any) -> str:
    """Why a response with an error status has no batch. `content` is its JSON, or None if it is not JSON."""
    said = _detail(content["detail"]) if isinstance(content, dict) and "detail" in content else _beginning(body)
    if _is_page(body):
        return describe_page(status, body)
    if not said:
        return f"{answered(status)} without a body"
    shown = "" if answered(status).endswith(said) else said
    return ": ".join(filter(None, [answered(status), shown, HINTS.get(status)]))


def describe_undecodable(status: int, body: bytes, error: Exception) -> str:
    """Why a response whose body is not JSON in UTF-8 has no batch."""
    if status != HTTPStatus.OK or not body.strip() or _is_page(body):
        return describe_error(status, body, None)
    if isinstance(error, UnicodeDecodeError):
        before = body[max(0, error.start - 20) : error.start].decode(errors="replace")
        byte = f"byte 0x{body[error.start]:02x} at {error.start}, after {before!r}"
        return f"{answered(status)} with a body that is not UTF-8: {byte}"
    if _is_cut_off(body):
        return f"{answered(status)} with JSON that breaks off after {len(body):,} bytes"
    return f"{answered(status)} with a body that is not JSON: {error}: {_beginning(body)}"


def describe_page(status: int, body: bytes) -> str:
    """`GET /data answered 200 OK with a web page, not JSON: Login: is API_URL right?`."""
    text = body[:MAX_READ].decode("utf-8-sig", errors="replace")
    title = TITLE.search(text)
    shown = " ".join(html.unescape(title[1] if title else TAG.sub(" ", text)).split())[:MAX_SHOWN]
    hint = "" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else CHECK_URL
    return ": ".join(filter(None, [f"{answered(status)} with a web page, not JSON", shown, hint]))


def describe_large(status: int, limit: int) -> str:
    """Why a response was not received to its end. It is not parsed."""
    return f"{answered(status)} with more than {limit:,} bytes (POLLER_MAX_BODY)"


def describe_redirect(location: str) -> str:
    """That a redirect is not followed, and where it leads."""
    return f"it redirects to {printable(location[:MAX_LOCATION])}, which is not followed: {CHECK_URL}"


def with_beginning(reason: str, body: bytes) -> str:
    """A reason with the beginning of the refused body, in one line, unless it has it."""
    beginning = _beginning(body, MAX_BEGINNING)
    return f"{reason}; the body begins with {beginning}" if beginning[:MAX_SHOWN] not in reason else reason


def describe_fatal(size: int, attempts: int) -> str:
    """Why a response is no longer parsed: the process ended each time, as by a limit of its memory."""
    return f"the poller ended {attempts} times while it parsed {size:,} bytes: is its memory limit too low?"


def describe_content(status: int, body: bytes, fault: str) -> str:
    """`GET /data answered 200 OK without batch_number: {"error": "maintenance"}`."""
    return f"{answered(status)} {fault}: {_beginning(body)}"


def _detail(detail: object) -> str:
    """An error's detail in one line. FastAPI's list of faults becomes `query.day: Field required`."""
    if isinstance(detail, list):
        return "; ".join(map(_fault, detail))
    return detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)


def _fault(fault: object) -> str:
    match fault:
        case {"loc": list(places), "msg": message}:
            return f"{'.'.join(map(str, places))}: {message}"
        case _:
            return json.dumps(fault, ensure_ascii=False)


def _beginning(body: bytes, characters: int = MAX_SHOWN) -> str:
    """The first characters of a body, in one line that a terminal can show."""
    line = " ".join(body[: 4 * characters].decode("utf-8-sig", errors="replace").split())
    return printable(line[:characters])


def _is_cut_off(body: bytes) -> bool:
    """Whether a JSON object or list has no end."""
    return body.lstrip()[:1] in (b"{", b"[") and body.rstrip()[-1:] not in (b"}", b"]")


def _is_page(body: bytes) -> bool:
    return body[:100].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
