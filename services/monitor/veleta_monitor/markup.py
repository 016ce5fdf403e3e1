"""Tables as HTML. All text is escaped; colours are tints of what the theme uses, so they read in light and dark."""

from html import escape

from veleta_monitor.domain.words import Cell, Head, Table, Tone

STYLE = """<style>
.stMainBlockContainer.stMainBlockContainer { padding-top: 2.5rem; }
.veleta { width: 100%; overflow: auto; max-height: 30rem; }
.veleta table { width: 100%; border-collapse: collapse; font-size: 0.9rem; line-height: 1.35; }
.veleta th { text-align: left; font-weight: 600; font-size: 0.78rem; opacity: 0.65; white-space: nowrap; }
.veleta th, .veleta td { padding: 0.4rem 0.75rem; vertical-align: top;
  border: 0; border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
.veleta td.numeric, .veleta th.numeric { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.veleta tbody tr:hover { background: color-mix(in srgb, currentColor 5%, transparent); }
.veleta a { color: inherit; }
.veleta [title] { cursor: help; }
.veleta small { display: block; opacity: 0.65; font-size: 0.78rem; overflow-wrap: anywhere; white-space: pre-line; }
.veleta .badge { display: inline-block; padding: 0.05rem 0.55rem; border-radius: 0.7rem; white-space: nowrap;
  background: color-mix(in srgb, var(--tone) 22%, transparent);
  box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--tone) 45%, transparent); }
.veleta.notice { padding: 0.6rem 0.9rem; border-radius: 0.5rem;
  background: color-mix(in srgb, var(--tone) 16%, transparent); border-left: 4px solid var(--tone); }
.veleta .good { --tone: #16a34a; } .veleta .warn, .veleta.warn { --tone: #f59e0b; }
.veleta .bad { --tone: #ef4444; } .veleta .quiet { --tone: #94a3b8; }
</style>"""
"""What tables and notices need, put on the page once. The doubled class outweighs Streamlit's own."""


def table_html(table: Table) -> str:
    """A table."""
    heads = "".join(f'<th scope="col"{_numeric(head)}>{escape(head.title)}</th>' for head in table.heads)
    rows = "".join(
        f"<tr>{''.join(_cell(head, cell) for head, cell in zip(table.heads, row, strict=True))}</tr>"
        for row in table.rows
    )
    return f'<div class="veleta"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def sentences_html(sentences: list[str]) -> str:
    """Sentences, one a line."""
    return "<br>".join(escape(sentence) for sentence in sentences)


def notice_html(text: str) -> str:
    """A sentence that must not be overlooked."""
    return f'<div class="veleta notice warn" role="alert">{escape(text)}</div>'


def badge_html(text: str, tone: Tone) -> str:
    """A short text that is set off."""
    return f'<div class="veleta"><span class="badge {tone}">{escape(text)}</span></div>'


def _cell(head: Head, cell: Cell) -> str:
    text = escape(cell.text)
    if cell.link:
        text = f'<a href="{escape(cell.link)}" target="_blank">{text}</a>'
    if cell.tone:
        text = f'<span class="badge {cell.tone}">{text}</span>'
    if cell.hint:
        text = f'<span title="{escape(cell.hint)}">{text}</span>'
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f"<td{_numeric(head)}>{text}{note}</td>"


def _numeric(head: Head) -> str:
    return ' class="numeric"' if head.numeric else ""
