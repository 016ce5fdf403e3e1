"""Draws panels of lines as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, GAP, LEFT, TOP = 300, 220, 60, 70, 40
COLOURS = ("#666666", "#d55e00", "#cc79a7", "#0072b2", "#56b4e9", "#009e73", "#e69f00")
LINE, TICKS = 18, 5
MOST_LABELS = 8


@dataclass(frozen=True)
class Panel:
    """Lines by name, with a point for each label, between the values `low` and `high`."""

    title: str
    labels: Sequence[str]
    lines: Mapping[str, Sequence[float]]
    low: float
    high: float


def line_plot(panels: Sequence[Panel], width: int = WIDTH) -> str:
    """The panels beside each other, each `width` pixels wide. All have lines with the same names."""
    names = list(panels[0].lines)
    drawn = [_panel(panel, LEFT + number * (width + GAP), width) for number, panel in enumerate(panels)]
    below = TOP + HEIGHT + GAP + LINE
    legend = [
        f'<text x="{LEFT}" y="{below + LINE * i}" fill="{_colour(i)}">&#9632; {escape(name)}</text>'
        for i, name in enumerate(names)
    ]
    size = f'width="{LEFT + len(panels) * (width + GAP)}" height="{below + LINE * len(names)}"'
    style = 'font-family="sans-serif" font-size="12"'
    shapes = "\n".join([*drawn, *legend])
    background = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{background}\n{shapes}\n</svg>\n'


def _panel(panel: Panel, left: int, width: int) -> str:
    xs = [left + width * (i + 0.5) / len(panel.labels) for i in range(len(panel.labels))]
    shapes = [f'<text x="{left}" y="{TOP - 12}" font-weight="bold">{escape(panel.title)}</text>']
    for tick in range(TICKS + 1):
        value = panel.low + (panel.high - panel.low) * tick / TICKS
        y = _y(panel, value)
        shapes.append(f'<line x1="{left}" x2="{left + width}" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        shapes.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:,.6g}</text>')
    every = -(-len(xs) // MOST_LABELS)
    for x, label in list(zip(xs, panel.labels, strict=True))[::every]:
        shapes.append(f'<text x="{x}" y="{TOP + HEIGHT + LINE}" text-anchor="middle">{escape(label)}</text>')
    for i, values in enumerate(panel.lines.values()):
        ys = [_y(panel, value) for value in values]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        shapes.append(f'<polyline points="{points}" fill="none" stroke="{_colour(i)}" stroke-width="2"/>')
        shapes += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(i)}"/>' for x, y in zip(xs, ys, strict=True)
        ]
    return "\n".join(shapes)


def _y(panel: Panel, value: float) -> float:
    """The vertical position of a value."""
    return TOP + HEIGHT * (1 - (value - panel.low) / (panel.high - panel.low))


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
