"""Pictures of an explanation, in the target's unit. Each function draws into pyplot's current figure."""

from typing import Any

import shap
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from veleta.dataset import Dataset

SHOWN_FEATURES = 20
"""Features in a picture: the strongest ones."""
WHOLE_FROM = 100
"""Amounts from here on are shown as whole numbers."""
OPTIONS: dict[str, Any] = {"max_display": SHOWN_FEATURES, "show": False}


def draw_summary(explained: shap.Explanation, dataset: Dataset) -> None:
    """Draw a point for each row and feature."""
    axes = shap.plots.beeswarm(explained, **OPTIONS)
    _label(axes, _target(dataset, "effect"))


def draw_bars(explained: shap.Explanation, dataset: Dataset) -> None:
    """Draw the mean absolute effect of each feature."""
    axes = shap.plots.bar(explained, **OPTIONS)
    _label(axes, _target(dataset, "mean effect, up or down"))


def draw_waterfall(explained: shap.Explanation, dataset: Dataset) -> None:
    """Draw the steps from the base price to the price of one row, an explanation of one dimension."""
    figure = shap.plots.waterfall(explained, **OPTIONS).figure
    axes, *marks = figure.axes
    for mark in marks:  # they name both prices as f(x) and E[f(X)], with three decimals
        mark.remove()
    base = float(explained.base_values)
    price = base + float(explained.values.sum())
    axes.set_title(f"from the base {_amount(base)} to the prediction {_amount(price)}")
    _label(axes, _target(dataset, "step by step"))


def _target(dataset: Dataset, shown: str) -> str:
    target = dataset.by_name[dataset.target]
    unit = f" ({target.unit})" if target.unit else ""
    return f"{target.title}: {shown}{unit}"


def _label(axes: Axes, label: str) -> None:
    axes.set_xlabel(label, fontsize=13)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    for text in axes.texts:
        amount = float(text.get_text().replace("\N{MINUS SIGN}", "-"))
        text.set_text(f"{'+' if amount > 0 else ''}{_amount(amount)}")


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:,.2f}"
