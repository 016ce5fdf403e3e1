"""Draws how often each policy requests a training, by the size of a batch and the planted shift, as SVG."""

from collections.abc import Mapping
from typing import Any

from veleta_drift.domain.line_plot import Panel, line_plot


def power_plot(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """A panel for each policy with a line for each shift. `found` has the scores by policy, size and shift."""
    return line_plot([_panel(policy, by_size) for policy, by_size in found.items()])


def _panel(policy: str, by_size: Mapping[str, Mapping[str, Any]]) -> Panel:
    names = list(next(iter(by_size.values())))
    shares = {name: [100 * each[name]["drift"] / each[name]["draws"] for each in by_size.values()] for name in names}
    labels = [f"{int(size):,}" for size in by_size]
    return Panel(f"{policy}: trainings in 100 batches, by rows", labels, shares, 0, 100)
