"""What the page shows, as HTML; style.css is its look. All text is escaped."""

from collections.abc import Sequence
from html import escape

from veleta_monitor.domain.batch_progress import Flight
from veleta_monitor.domain.formatting import Cell, Head, Table, Tone
from veleta_monitor.domain.stages import Stage
from veleta_monitor.domain.training_progress import Course

PLACES = {
    "source": "--column:1;--row:1/3",
    "poller": "--column:3;--row:1/3",
    "loader": "--column:5;--row:1",
    "drift": "--column:5;--row:2",
    "trainer": "--column:7;--row:1/3",
    "inference": "--column:9;--row:1/3",
}
"""Where the stages stand on a wide screen; on a narrow one they stand below each other."""
FLOW_SECONDS = 1.6
CURVE = "error on what it learns from (RMSE of the logarithm), by trees"
MARKS = {"done": "\u2713", "now": "\u2022", "ahead": "", "passed": "\u2013", "failed": "\u2715"}


def picture_html(stages: Sequence[Stage], seconds: float) -> str:
    """The loop; `seconds` of the clock set how far its motion is."""
    nodes = "".join(_stage(stage) for stage in stages)
    phase = f' style="--phase:-{seconds % FLOW_SECONDS:.2f}s"' if any(stage.busy for stage in stages) else ""
    return f'<div class="veleta"{phase}><ol class="loop" aria-label="The loop">{nodes}</ol></div>'


def flight_html(flight: Flight) -> str:
    """A batch and the steps of its way."""
    steps = "".join(
        f'<li class="{step.progress}"><i role="img" aria-label="{step.progress}">{MARKS[step.progress]}</i>{step.name}'
        f"<small>{escape(step.note)}</small></li>"
        for step in flight.steps
    )
    why = escape(flight.batch.reason or flight.batch.finding)
    return (
        f'<div class="veleta"><p>{escape(flight.headline)}</p><ol class="steps">{steps}</ol><small>{why}</small></div>'
    )


def course_html(course: Course, headline: str) -> str:
    """A training: what it does, how far it is, and its curve as soon as it has two points."""
    share = 100 * course.done / course.of if course.of else 0.0
    bar = "" if course.end else f'<div class="bar"><div style="width:{share:.0f}%"></div></div>'
    curve = _curve(course.curve) if len(course.curve) > 1 else ""
    return f'<div class="veleta"><p>{escape(headline)}</p>{bar}{curve}</div>'


def _curve(points: Sequence[tuple[int, float]]) -> str:
    """A line, cut out of a coloured box: Streamlit lets no SVG through."""
    errors = [error for _, error in points]
    low, high, upto = min(errors), max(errors), points[-1][0]
    places = [(100 * tree / upto, 100 * (high - error) / (high - low or 1)) for tree, error in points]
    above = [f"{x:.1f}% calc({y:.1f}% - 1px)" for x, y in places]
    below = [f"{x:.1f}% calc({y:.1f}% + 1px)" for x, y in reversed(places)]
    ground = [f"{places[-1][0]:.1f}% 100%", f"{places[0][0]:.1f}% 100%"]
    return (
        f'<figure class="curve"><small>{high:.3g}</small><div class="plot">'
        f'<div style="clip-path:polygon({",".join([*above, *below])})"></div>'
        f'<div class="area" style="clip-path:polygon({",".join([*above, *ground])})"></div></div>'
        f'<small class="low">{low:.3g}</small><small class="title">{CURVE}</small><small>{upto:,}</small></figure>'
    )


def table_html(table: Table) -> str:
    """A table."""
    heads = "".join(f'<th scope="col"{_class(head)}>{escape(head.title)}</th>' for head in table.heads)
    rows = "".join(
        f"<tr>{''.join(_cell(head, cell) for head, cell in zip(table.heads, row, strict=True))}</tr>"
        for row in table.rows
    )
    return f'<div class="veleta"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def sentences_html(sentences: list[str]) -> str:
    """Sentences, one a line."""
    return "<br>".join(escape(sentence) for sentence in sentences)


def notice_html(text: str, tone: Tone = "warn") -> str:
    """A sentence that must not be overlooked."""
    return f'<div class="veleta notice {tone}" role="alert">{escape(text)}</div>'


def badge_html(text: str, tone: Tone) -> str:
    """A short text that is set off."""
    return f'<div class="veleta"><span class="badge {tone}">{escape(text)}</span></div>'


def _stage(stage: Stage) -> str:
    kind = " absent" if stage.state.tone == "quiet" else " busy" if stage.busy else ""
    into = f'<div class="into">{escape(stage.into)}</div>' if stage.into else ""
    state = f'<span class="state {stage.state.tone}">{escape(stage.state.text)}</span>'
    lines = [
        f"<header><b>{escape(stage.name)}</b>{state}</header>",
        f"<small>{escape(stage.purpose)}</small>",
        f"<p>{escape(stage.doing)}</p>" if stage.doing else "",
        f"<small>{escape(stage.waits)}</small>" if stage.waits else "",
        f"<small>{_text(stage.lag)}</small>" if stage.lag else "",
        f"<div><small>{_text(stage.last)}</small><small>{escape(stage.last.note)}</small></div>" if stage.last else "",
    ]
    place = f'class="stage{kind}" data-stage="{escape(stage.name)}" style="{PLACES[stage.name]}"'
    return f"<li {place}>{into}<article>{''.join(lines)}</article></li>"


def _cell(head: Head, cell: Cell) -> str:
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f'<td{_class(head)} data-head="{escape(head.title)}">{_text(cell)}{note}</td>'


def _text(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.link:
        text = f'<a href="{escape(cell.link)}" target="_blank">{text}</a>'
    if cell.tone:
        text = f'<span class="badge {cell.tone}">{text}</span>'
    return f'<span title="{escape(cell.hint)}">{text}</span>' if cell.hint else text


def _class(head: Head) -> str:
    return ' class="numeric"' if head.numeric else ' class="wide"' if head.wide else ""
