"""What a person reads about a response that is no batch: what was seen, and what may be wrong."""

import json

import pytest

from veleta_poller.domain.refusals import (
    MAX_BEGINNING,
    MAX_LOCATION,
    MAX_READ,
    MAX_SHOWN,
    answered,
    describe_content,
    describe_error,
    describe_fatal,
    describe_large,
    describe_page,
    describe_redirect,
    describe_undecodable,
    with_beginning,
)

NOT_JSON = json.JSONDecodeError("Expecting value", "", 0)


@pytest.mark.parametrize(
    ("status", "shown"),
    [(404, "GET /data answered 404 Not Found"), (599, "GET /data answered 599")],
)
def test_a_status_is_shown_with_its_name(status: int, shown: str) -> None:
    """If it has one."""
    assert answered(status) == shown


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, ": is this the end of the data? See docs/data-api.md"),
        (404, ": is API_URL right?"),
        (405, ": is API_URL right?"),
        (410, ": is API_URL right?"),
        (401, ""),
        (500, ""),
    ],
)
def test_a_status_that_a_wrong_setting_explains_has_a_hint(status: int, hint: str) -> None:
    """Others have none."""
    assert describe_error(status, b"x", None) == f"{answered(status)}: x{hint}"


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ("No hay d\u00eda", "No hay d\u00eda"),
        ({"d\u00eda": 3}, '{"d\u00eda": 3}'),
        ([{"loc": ["query", "day"], "msg": "Field required"}], "query.day: Field required"),
        ([{"loc": ["body", 0], "msg": "too long"}, {"otro": "d\u00eda"}], 'body.0: too long; {"otro": "d\u00eda"}'),
    ],
)
def test_the_detail_of_an_error_is_shown(detail: object, shown: str) -> None:
    """As the API wrote it: text is not escaped. A list of faults is one line."""
    assert describe_error(500, b"{}", {"detail": detail}) == f"{answered(500)}: {shown}"


def test_a_detail_that_is_the_name_of_the_status_is_not_repeated() -> None:
    """A part of the name is none, unless the name ends with it."""
    assert describe_error(404, b"{}", {"detail": "Not Found"}) == f"{answered(404)}: is API_URL right?"
    assert describe_error(500, b"{}", {"detail": "Internal"}) == f"{answered(500)}: Internal"


@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
def test_a_response_without_a_body_is_named(body: bytes) -> None:
    """Spaces and a byte order mark are no body."""
    assert describe_error(503, body, None) == f"{answered(503)} without a body"


def test_the_beginning_of_a_body_is_shown_in_one_line() -> None:
    """Its first characters, however many bytes each of them has. Bytes that are not UTF-8 are replaced."""
    assert describe_error(500, b"\xef\xbb\xbf one\n\t two", None) == f"{answered(500)}: one two"
    long = "\U0001f600" * (MAX_SHOWN + 1)
    assert describe_error(500, long.encode(), None) == f"{answered(500)}: {long[:MAX_SHOWN]}"
    assert describe_error(500, b"Mayag\xfcez", None) == f"{answered(500)}: Mayag\ufffdez"
    assert describe_content(200, b"[1,\n 2]", "without batch_number") == f"{answered(200)} without batch_number: [1, 2]"


@pytest.mark.parametrize("body", [b"<html>x", b"\xef\xbb\xbf<html>x", b" \r\n\t<html>x"])
def test_a_web_page_is_recognised(body: bytes) -> None:
    """With each status, and after a byte order mark or spaces."""
    for status in (200, 404):
        assert describe_undecodable(status, body, NOT_JSON) == describe_page(status, body)
    assert describe_page(200, body) == f"{answered(200)} with a web page, not JSON: x: is API_URL right?"


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ('<HEAD><Title lang="en">\n Log&nbsp;in &amp;\n wait</TITLE></HEAD>text', "Log in & wait"),
        ("<style>\np {}\n</style><p>Sorry</p><SCRIPT>\nx()\n</SCRIPT><b>later</b>", "Sorry later"),
        (f"<p>{'x' * (MAX_SHOWN + 1)}</p>", "x" * MAX_SHOWN),
    ],
)
def test_a_web_page_is_shown_by_its_title_or_its_text(page: str, shown: str) -> None:
    """Without tags, scripts and styles, in one line, and not too long."""
    assert describe_page(502, page.encode()) == f"{answered(502)} with a web page, not JSON: {shown}"


def test_a_web_page_without_text_is_still_named() -> None:
    """A title that begins after MAX_READ bytes is not read."""
    assert describe_page(500, b"<html></html>") == f"{answered(500)} with a web page, not JSON"
    late = b"<p>early</p>" + b" " * MAX_READ + b"<title>late</title>"
    assert describe_page(503, late).endswith("not JSON: early")


def test_a_web_page_in_another_encoding_is_shown() -> None:
    """Bytes that are not UTF-8 are replaced."""
    assert describe_page(500, b"<title>Mayag\xfcez</title>").endswith("not JSON: Mayag\ufffdez")


@pytest.mark.parametrize(("status", "hint"), [(200, ": is API_URL right?"), (499, ": is API_URL right?"), (500, "")])
def test_a_web_page_that_is_no_error_of_the_server_has_a_hint(status: int, hint: str) -> None:
    """A server that fails writes a page, too."""
    assert describe_page(status, b"<html>x") == f"{answered(status)} with a web page, not JSON: x{hint}"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"city": "Mayag\xfcez"}', 'byte 0xfc at 15, after \'{"city": "Mayag\''),
        (b"\xfc", "byte 0xfc at 0, after ''"),
        (b"x" * 30 + b"\xfc", f"byte 0xfc at 30, after '{'x' * 20}'"),
        (b"\xc3\xbc" + b"x" * 18 + b"\x07\xfc", f"byte 0xfc at 21, after '\ufffd{'x' * 18}\\x07'"),
    ],
)
def test_a_byte_that_is_not_utf_8_is_shown_with_its_place(body: bytes, shown: str) -> None:
    """With the 20 bytes before it, which may begin within a character."""
    with pytest.raises(UnicodeDecodeError) as error:
        body.decode()
    expected = f"{answered(200)} with a body that is not UTF-8: {shown}"
    assert describe_undecodable(200, body, error.value) == expected


@pytest.mark.parametrize("body", [b'{"a": 1', b"[1, 2", b' \n["a" '])
def test_json_that_breaks_off_is_recognised(body: bytes) -> None:
    """An object or a list without an end: the connection broke."""
    expected = f"{answered(200)} with JSON that breaks off after {len(body)} bytes"
    assert describe_undecodable(200, body, NOT_JSON) == expected


def test_the_address_of_a_redirect_is_shown() -> None:
    """Its beginning, so that a terminal can show it."""
    assert describe_redirect("/b\x1b") == r"it redirects to /b\x1b, which is not followed: is API_URL right?"
    assert f" {'x' * MAX_LOCATION}," in describe_redirect("x" * 1_000)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", "no rows"),
        (b"{}\n []", "no rows; the body begins with {} []"),
        (b"no rows", "no rows"),
        (b"a\x9b\xff", r"no rows; the body begins with a" + "\ufffd" * 2),
        (b"x" * 10_000, f"no rows; the body begins with {'x' * MAX_BEGINNING}"),
    ],
)
def test_a_reason_has_the_beginning_of_the_body(body: bytes, shown: str) -> None:
    """Unless it has it already."""
    assert with_beginning("no rows", body) == shown


def test_large_numbers_have_commas() -> None:
    """Counts of bytes are read by people."""
    assert describe_undecodable(200, b"[" + b" " * 1_999 + b"1", NOT_JSON).endswith("after 2,001 bytes")
    assert describe_large(200, 5_000) == f"{answered(200)} with more than 5,000 bytes (POLLER_MAX_BODY)"
    expected = "the poller ended 3 times while it parsed 5,000 bytes: is its memory limit too low?"
    assert describe_fatal(5_000, 3) == expected


@pytest.mark.parametrize("body", [b"{batch}", b"[batch] ", b"batch"])
def test_a_body_that_is_no_json_is_shown_with_the_error(body: bytes) -> None:
    """It has an end, or is neither an object nor a list."""
    shown = body.decode().strip()
    expected = f"{answered(200)} with a body that is not JSON: {NOT_JSON}: {shown}"
    assert describe_undecodable(200, body, NOT_JSON) == expected


@pytest.mark.parametrize(("status", "body"), [(500, b"[1"), (404, b"{x}"), (200, b" ")])
def test_an_undecodable_body_of_an_error_is_described_as_an_error(status: int, body: bytes) -> None:
    """Its status matters more than its body."""
    assert describe_undecodable(status, body, NOT_JSON) == describe_error(status, body, None)
