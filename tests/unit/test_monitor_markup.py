"""Tables as the browser gets them."""

from veleta_monitor.domain.words import Cell, Head, Table
from veleta_monitor.markup import notice_html, sentences_html, table_html


def test_text_from_outside_is_never_markup() -> None:
    """Whatever an event, an error or an address holds, the browser shows it as text."""
    evil = '<img src=x onerror="alert(1)">'
    table = Table([Head(evil)], [[Cell(evil, hint=evil, tone="bad", link=f'"{evil}', note=evil)]])
    for html in (table_html(table), sentences_html([evil]), notice_html(evil)):
        assert "<img" not in html
        assert "&lt;img" in html


def test_a_tone_is_never_without_its_word() -> None:
    """A badge holds the word; the tone is only its class."""
    html = table_html(Table([Head("Verdict")], [[Cell("no drift", tone="good")]]))
    assert '<span class="badge good">no drift</span>' in html
