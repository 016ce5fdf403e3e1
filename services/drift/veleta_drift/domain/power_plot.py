"""Draws how often each policy requests a training, by the size of a batch and the planted shift, as SVG."""

from collections.abc import Mapping
from html import escape
from typing import Any

WIDTH, HEIGHT, GAP, LEFT, TOP = 300, 220, 50, 60, 40
COLOURS = ("#666666", "#d55e00", "#cc79a7", "#0072b2", "#56b4e9", "#009e73", "#e69f00")
LINE, TICKS = 18, 5


def power_plot(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """A panel for each policy with a line for each shift. `found` has the scores by policy, size and shift."""
    names = list(next(iter(next(iter(found.values())).values())))
    panels = [_panel(policy, by_size, i) for i, (policy, by_size) in enumerate(found.items())]
    width = LEFT + len(panels) * (WIDTH + GAP)
    below = TOP + HEIGHT + GAP + LINE
    legend = [
        f'<text x="{LEFT}" y="{below + LINE * i}" fill="{_colour(i)}">&#9632; {escape(name)}</text>'
        for i, name in enumerate(names)
    ]
    size = f'width="{width}" height="{below + LINE * len(names)}"'
    style = 'font-family="sans-serif" font-size="12"'
    shapes = "\n".join([*panels, *legend])
    background = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{background}\n{shapes}\n</svg>\n'


def _panel(policy: str, by_size: Mapping[str, Mapping[str, Any]], number: int) -> str:
    left, sizes = LEFT + number * (WIDTH + GAP), list(by_size)
    xs = [left + WIDTH * (i + 0.5) / len(sizes) for i in range(len(sizes))]
    shapes = [
        f'<text x="{left}" y="{TOP - 12}" font-weight="bold">{escape(policy)}: trainings in 100 batches, by rows</text>'
    ]
    for tick in range(TICKS + 1):
        y = _y(tick / TICKS)
        shapes.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        shapes.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{100 * tick // TICKS}</text>')
    for x, size in zip(xs, sizes, strict=True):
        shapes.append(f'<text x="{x}" y="{TOP + HEIGHT + LINE}" text-anchor="middle">{int(size):,}</text>')
    for i, name in enumerate(by_size[sizes[0]]):
        ys = [_y(by_size[size][name]["drift"] / by_size[size][name]["draws"]) for size in sizes]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        shapes.append(f'<polyline points="{points}" fill="none" stroke="{_colour(i)}" stroke-width="2"/>')
        shapes += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(i)}"/>' for x, y in zip(xs, ys, strict=True)
        ]
    return "\n".join(shapes)


def _y(share: float) -> float:
    """The vertical position of a share."""
    return TOP + HEIGHT * (1 - share)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
