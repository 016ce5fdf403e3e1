"""Draws a histogram as SVG: the shares of the batch beside those of what it is compared with."""

import math
from collections.abc import Sequence
from html import escape

from veleta.dataset import Column
from veleta.events.catalogue import Histogram, HistogramBin
from veleta_monitor.domain.formatting import format_share, shorten

WIDTH, HEIGHT, BAR, LABEL = 340, 130, 7, 110
"""Pixels: a drawing, its columns, the height of a horizontal bar, the width of a category's label."""
MAX_LABEL = 20
"""Characters of a category's label. Its tooltip has more."""
MAX_TOOLTIP = 40
CHARACTER = 5.5
"""The width of a character in pixels. Edges whose labels would overlap have none."""
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def histogram_svg(histogram: Histogram, column: Column | None) -> str:
    """Bins of numbers stand beside each other, categories below each other. `column` is None if it was removed."""
    is_number = any(each.lower is not None or each.upper is not None for each in histogram.bins)
    return _numbers(histogram.bins, column) if is_number else _categories(histogram.bins)


def _numbers(bins: Sequence[HistogramBin], column: Column | None) -> str:
    """The bins have the same width, whatever their bounds are: they are quantiles of the reference."""
    step, top = WIDTH / len(bins), _largest(bins)
    is_date = column is not None and column.kind == "date"
    labels = ["" if each.upper is None else edge_text(each.upper, is_date=is_date) for each in bins]
    every = math.ceil((max(map(len, labels)) + 1) * CHARACTER / step)
    drawn = []
    for position, each in enumerate(bins):
        left = position * step
        bars = _column("reference", left + step * 0.1, step * 0.35, each.reference_share, top)
        bars += _column("batch", left + step * 0.5, step * 0.35, each.share, top)
        drawn.append(f"<g><title>{escape(_tooltip(_range(each, is_date=is_date), each))}</title>{bars}</g>")
        if labels[position] and position % every == 0:
            x, text = left + step, escape(labels[position])
            drawn.append(f'<text x="{x:.0f}" y="{HEIGHT + 12}" text-anchor="middle">{text}</text>')
    line = f'<path d="M0 {HEIGHT}.5H{WIDTH}" stroke="currentColor" stroke-opacity=".4"/>'
    return _svg(HEIGHT + 16, f"{''.join(drawn)}{line}")


def _categories(bins: Sequence[HistogramBin]) -> str:
    top, step = _largest(bins), 2 * BAR + 5
    drawn = []
    for position, each in enumerate(bins):
        y, name = position * step, "all others" if each.category is None else each.category or "no value"
        bars = _bar("reference", y, each.reference_share, top) + _bar("batch", y + BAR, each.share, top)
        label = escape(shorten(name, MAX_LABEL), quote=False)
        drawn.append(
            f"<g><title>{escape(_tooltip(shorten(name, MAX_TOOLTIP), each), quote=False)}</title>"
            f'<text x="{LABEL - 5}" y="{y + BAR + 4}" text-anchor="end">{label}</text>{bars}</g>'
        )
    return _svg(len(bins) * step, "".join(drawn))


def _column(kind: str, x: float, width: float, share: float | None, top: float) -> str:
    height = HEIGHT * (share or 0) / top
    return f'<rect class="{kind}" x="{x:.1f}" y="{HEIGHT - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _bar(kind: str, y: float, share: float | None, top: float) -> str:
    width = (WIDTH - LABEL) * (share or 0) / top
    return f'<rect class="{kind}" x="{LABEL}" y="{y:.0f}" width="{width:.1f}" height="{BAR - 1}"/>'


def _svg(height: int, content: str) -> str:
    return f'<svg viewBox="-12 0 {WIDTH + 24} {height}" role="img">{content}</svg>'


def _largest(bins: Sequence[HistogramBin]) -> float:
    return max(max(each.share, each.reference_share or 0) for each in bins) or 1.0


def _tooltip(name: str, each: HistogramBin) -> str:
    compared = "" if each.reference_share is None else f", {format_share(each.reference_share)} of the reference"
    return f"{name}: {format_share(each.share)} of this batch{compared}"


def _range(each: HistogramBin, *, is_date: bool) -> str:
    lower, upper = (bound if bound is None else edge_text(bound, is_date=is_date) for bound in (each.lower, each.upper))
    if lower is None:
        return f"below {upper}"
    return f"above {lower}" if upper is None else f"{lower} to {upper}"


def edge_text(edge: float, *, is_date: bool) -> str:
    """A short number: `350k`, `1.2M`. A date is a year with a fraction."""
    if is_date:
        return f"{edge:.1f}"
    for size, unit in UNITS:
        if abs(edge) >= size:
            return f"{edge / size:.3g}{unit}"
    return f"{edge:.3g}"
