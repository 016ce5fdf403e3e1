"""The parts of the page as HTML, styled by style.css. All text is escaped."""

import re
from collections.abc import Sequence
from html import escape

from veleta_monitor.domain.batch_progress import BatchProgress
from veleta_monitor.domain.market import MarketLevel, band, index_text
from veleta_monitor.domain.prices import PriceAnswer
from veleta_monitor.domain.stages import Stage
from veleta_monitor.domain.table import Cell, Column, Table, Tone
from veleta_monitor.domain.training_progress import TrainingProgress

GRID_POSITIONS = {
    "source": "--column:1;--row:1/3",
    "poller": "--column:3;--row:1/3",
    "loader": "--column:5;--row:1",
    "drift": "--column:5;--row:2",
    "trainer": "--column:7;--row:1/3",
    "inference": "--column:9;--row:1",
    "retention": "--column:9;--row:2",
}
"""Positions of the stages on a wide screen. On a narrow one they form a column."""
ANIMATION_SECONDS = 1.6
CURVE_TITLE = "training error (RMSE of the logarithm) by number of trees"
MIN_POINTS = 2
"""One point is no line."""
Place = tuple[float, float]
"""A place in a plot, in percent from the upper left corner."""
STEP_ICONS = {"done": "\u2713", "current": "\u2022", "pending": "", "skipped": "\u2013", "failed": "\u2715"}


def loop_html(stages: Sequence[Stage], seconds: float) -> str:
    """The loop. The clock's `seconds` set the phase of its animation, so that a refresh does not restart it."""
    nodes = "".join(_stage(stage) for stage in stages)
    busy = any(stage.busy for stage in stages)
    phase = f' style="--phase:-{seconds % ANIMATION_SECONDS:.2f}s"' if busy else ""
    return f'<div class="veleta"{phase}><ol class="loop" aria-label="The loop">{nodes}</ol></div>'


def batch_html(progress: BatchProgress) -> str:
    """A batch and its steps."""
    steps = "".join(
        f'<li class="{step.state}"><i role="img" aria-label="{step.state}">{STEP_ICONS[step.state]}</i>{step.name}'
        f"<small>{escape(step.note)}</small></li>"
        for step in progress.steps
    )
    texts = "".join(
        f"<small>{escape(text)}</small>" for text in (progress.batch.reason, progress.batch.finding) if text
    )
    return f'<div class="veleta"><p>{escape(progress.headline)}</p><ol class="steps">{steps}</ol>{texts}</div>'


def training_html(progress: TrainingProgress, headline: str) -> str:
    """A training: its headline, its progress bar, and its curve if that has at least two points."""
    percent = 100 * progress.done / progress.total if progress.total else 0.0
    bar = "" if progress.outcome else f'<div class="bar"><div style="width:{percent:.0f}%"></div></div>'
    curve = _curve(progress.curve) if len(progress.curve) >= MIN_POINTS else ""
    return f'<div class="veleta"><p>{escape(headline)}</p>{bar}{curve}</div>'


def _curve(points: Sequence[tuple[int, float]]) -> str:
    """A line and the area below it, cut out of coloured boxes: Streamlit removes SVG."""
    errors = [error for _, error in points]
    low, high, trees = min(errors), max(errors), points[-1][0]
    places = [(100 * x / trees, 100 * (high - error) / (high - low or 1)) for x, error in points]
    bottom = [(places[-1][0], 100.0), (places[0][0], 100.0)]
    plot = _line(places) + _area([*places, *bottom])
    return _figure(plot, (f"{low:.3g}", f"{high:.3g}"), CURVE_TITLE, f"{trees:,}")


def market_html(market: MarketLevel) -> str:
    """The price index with its band, if there are at least two periods. A tooltip has the figures of each period."""
    if len(points := market.points) < MIN_POINTS:
        return ""
    lower, upper = zip(*(band(point.factor, point.error) for point in points), strict=True)
    low, high = min(lower), max(upper)
    days = [(point.period - points[0].period).days for point in points]

    def places(factors: Sequence[float]) -> list[Place]:
        return [(100 * x / days[-1], 100 * (high - y) / (high - low or 1)) for x, y in zip(days, factors, strict=True)]

    texts = [
        f"{point.name}: {index_text(point.factor)} ({index_text(least)} to {index_text(most)})"
        for point, least, most in zip(points, lower, upper, strict=True)
    ]
    names = "".join(f'<span title="{escape(text)}"></span>' for text in texts)
    plot = f"{_line(places([point.factor for point in points]))}{_area([*places(upper), *reversed(places(lower))])}"
    title = f"price index, {market.since} = 100, with its 80 % band"
    bounds = index_text(low), index_text(high)
    label = f"{title}: {'; '.join(texts)}"
    figure = _figure(f'{plot}<div class="names">{names}</div>', bounds, title, points[-1].name, label)
    return f'<div class="veleta">{figure}</div>'


def _figure(plot: str, bounds: tuple[str, str], title: str, end: str, label: str = "") -> str:
    """A plot with the lowest and the highest value, a title below it, and the end of its axis."""
    image = f' role="img" aria-label="{escape(label)}"' if label else ""
    return (
        f'<figure class="curve"><small>{bounds[1]}</small><div class="plot"{image}>{plot}</div>'
        f'<small class="low">{bounds[0]}</small><small class="title">{escape(title)}</small>'
        f"<small>{escape(end)}</small></figure>"
    )


def _line(places: Sequence[Place]) -> str:
    upper = [f"{x:.1f}% calc({y:.1f}% - 1px)" for x, y in places]
    lower = [f"{x:.1f}% calc({y:.1f}% + 1px)" for x, y in reversed(places)]
    return f'<div style="clip-path:polygon({",".join(upper + lower)})"></div>'


def _area(corners: Sequence[Place]) -> str:
    return f'<div class="area" style="clip-path:polygon({",".join(f"{x:.1f}% {y:.1f}%" for x, y in corners)})"></div>'


def table_html(table: Table) -> str:
    """A table."""
    head = "".join(f'<th scope="col"{_class(column)}>{escape(column.title)}</th>' for column in table.columns)
    rows = "".join(
        f"<tr>{''.join(_cell(column, cell) for column, cell in zip(table.columns, row, strict=True))}</tr>"
        for row in table.rows
    )
    return f'<div class="veleta"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def sentences_html(sentences: list[str]) -> str:
    """Sentences, one per line."""
    return "<br>".join(escape(sentence) for sentence in sentences)


def notice_html(text: str, tone: Tone = "warn") -> str:
    """A notice in a coloured box."""
    return f'<div class="veleta notice {tone}" role="alert">{escape(text)}</div>'


def badge_html(text: str, tone: Tone) -> str:
    """A short text in a badge."""
    return f'<div class="veleta"><span class="badge {tone}">{escape(text)}</span></div>'


def price_html(answer: PriceAnswer) -> str:
    """The answer to a request for a price, and its warnings in a box of their own."""
    details = "".join(f"<p>{escape(detail)}</p>" for detail in answer.details)
    parts = [f'<div class="veleta notice {answer.tone}"><p><b>{escape(answer.headline)}</b></p>{details}</div>']
    if answer.warnings:
        warnings = "".join(f"<p>{escape(warning)}</p>" for warning in answer.warnings)
        parts.append(f'<div class="veleta notice warn">{warnings}</div>')
    return f'<div class="answer" role="status">{"".join(parts)}</div>'


def markdown_text(text: str) -> str:
    """A text for a place where Streamlit reads Markdown, without a special meaning."""
    return re.sub(r"([\\`*_\[\]$:<>~|#&])", r"\\\1", text)


def _stage(stage: Stage) -> str:
    kind = " absent" if stage.state.tone == "neutral" else " busy" if stage.busy else ""
    arrow = f'<div class="input">{escape(stage.input)}</div>' if stage.input else ""
    state = f'<span class="state {stage.state.tone}">{escape(stage.state.text)}</span>'
    lines = [
        f"<header><b>{escape(stage.name)}</b>{state}</header>",
        f"<small>{escape(stage.purpose)}</small>",
        f"<p>{escape(stage.activity)}</p>" if stage.activity else "",
        f"<small>{escape(stage.unavailable)}</small>" if stage.unavailable else "",
        f"<small>{_text(stage.lag)}</small>" if stage.lag else "",
        f"<div><small>{_text(stage.last)}</small><small>{escape(stage.last.note)}</small></div>" if stage.last else "",
    ]
    position = f'class="stage{kind}" data-stage="{escape(stage.name)}" style="{GRID_POSITIONS[stage.name]}"'
    return f"<li {position}>{arrow}<article>{''.join(lines)}</article></li>"


def _cell(column: Column, cell: Cell) -> str:
    note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
    return f'<td{_class(column)} data-column="{escape(column.title)}">{_text(cell)}{note}</td>'


def _text(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.link:
        text = f'<a href="{escape(cell.link)}" target="_blank">{text}</a>'
    if cell.tone:
        text = f'<span class="badge {cell.tone}">{text}</span>'
    return f'<span title="{escape(cell.hint)}">{text}</span>' if cell.hint else text


def _class(column: Column) -> str:
    return ' class="numeric"' if column.numeric else ' class="wide"' if column.wide else ""
