"""Measures models on the holdout: as a whole, and on each slice that the dataset file declares."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from veleta.dataset import EvaluationRule
from veleta.events.catalogue import Measures
from veleta.features import MISSING_COUNT
from veleta_trainer.domain.price_model import is_complete
from veleta_trainer.domain.scores import interval_scores, scores

CHALLENGER, CHAMPION = "challenger", "champion"
"""The names of the models that are measured, beside the linear baseline."""
WHOLE, COMPLETE, INCOMPLETE = "all rows", "complete rows", "incomplete rows"
NOT_GIVEN = "not given"
"""The slice of a category without a value."""
MAX_SLICES = 30
"""The most slices in the event and in the table of a version: the largest ones. The artifacts have all."""
SLICES_LEFT_OUT = "slices_left_out"
"""The metric of all rows that counts the slices beyond MAX_SLICES."""
LARGEST = 20
"""How many of the largest errors are listed."""
ENOUGH_FOR_RATIOS = 3
"""With fewer rows, the measures of ratios mean nothing."""


@dataclass(frozen=True)
class Predicted:
    """What a model predicts for the rows of the holdout, in the target's unit. `low` and `high` if it has intervals."""

    prices: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def part(self, rows: np.ndarray) -> "Predicted":
        """That of the rows of a mask."""
        if self.low is None or self.high is None:
            return Predicted(self.prices[rows])
        return Predicted(self.prices[rows], self.low[rows], self.high[rows])


@dataclass(frozen=True)
class Figure:
    """One measure of one model on one slice with so many rows."""

    model: str
    slice: str
    metric: str
    value: float
    rows: int


def evaluate(
    rule: EvaluationRule,
    frame: pd.DataFrame,
    prices: np.ndarray,
    models: Mapping[str, Predicted],
    more: Mapping[str, np.ndarray] | None = None,
) -> list[Figure]:
    """All measures of models by name. `frame` has the features of the rows, `prices` their true prices.

    `more` has masks of rows of further slices.
    """
    return [
        Figure(model, name, metric, value, int(rows.sum()))
        for name, rows in [*slices(rule, frame, prices), *(more or {}).items()]
        for model, predicted in models.items()
        for metric, value in measures(prices[rows], predicted.part(rows)).items()
    ]


def slices(rule: EvaluationRule, frame: pd.DataFrame, prices: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The name and the rows, as a mask, of all rows and of each slice that has some.

    If columns are optional, complete rows and incomplete ones are slices too.
    """
    yield WHOLE, np.ones(len(prices), dtype=bool)
    if MISSING_COUNT in frame:
        complete = is_complete(frame)
        yield from ((name, rows) for name, rows in ((COMPLETE, complete), (INCOMPLETE, ~complete)) if rows.any())
    for column in rule.slices:
        codes, values = pd.factorize(frame[column], sort=True)
        yield from ((f"{column} = {value or NOT_GIVEN}", codes == code) for code, value in enumerate(values))
    edges = [-np.inf, *rule.bands, np.inf] if rule.bands else []
    for low, high in pairwise(edges):
        rows = (low < prices) & (prices <= high)
        if rows.any():
            yield _band(low, high), rows


def measures(prices: np.ndarray, predicted: Predicted) -> dict[str, float]:
    """`scores`, the bias and the measures of assessors, and those of intervals if there are some.

    The bias is the mean of log(price) - log(prediction): positive if the model predicts too little. COD, PRD and PRB
    compare the ratios of prediction and price (IAAO, Standard on Ratio Studies, 2013). COD is their mean deviation from
    the median, as a percentage of it. PRD is above 1, and PRB below 0, if expensive rows are predicted too low.
    """
    found = scores(prices, predicted.prices)
    found["bias"] = float(np.mean(np.log(prices) - np.log(predicted.prices)))
    if len(prices) >= ENOUGH_FOR_RATIOS:
        found |= _ratio_measures(prices, predicted.prices)
    if predicted.low is not None and predicted.high is not None:
        found |= interval_scores(prices, predicted.low, predicted.high)
    return found


def largest_slices(figures: Iterable[Figure]) -> list[Measures]:
    """The measures of each model on all rows, and on the MAX_SLICES largest slices, without those that are not finite.

    Empty if there are no figures, as in runs of earlier releases.
    """
    rows: dict[str, int] = {}
    metrics: dict[tuple[str, str], dict[str, float]] = {}
    for each in figures:
        rows[each.slice] = each.rows
        if math.isfinite(each.value):
            metrics.setdefault((each.slice, each.model), {})[each.metric] = each.value
    parts = sorted(rows.keys() - {WHOLE}, key=lambda name: (-rows[name], name))
    kept, left_out = {WHOLE, *parts[:MAX_SLICES]}, float(len(parts[MAX_SLICES:]))
    return [
        Measures(
            model=model,
            slice=name,
            rows=rows[name],
            metrics=found | {SLICES_LEFT_OUT: left_out} if name == WHOLE else found,
        )
        for (name, model), found in metrics.items()
        if name in kept
    ]


def largest_errors(frame: pd.DataFrame, prices: np.ndarray, predicted: Predicted, target: str) -> pd.DataFrame:
    """The rows with the largest absolute errors, the largest first: features, true price and prediction."""
    worst = np.argsort(-np.abs(predicted.prices - prices), kind="stable")[:LARGEST]
    return frame.iloc[worst].assign(**{target: prices[worst], "prediction": predicted.prices[worst]})


def _ratio_measures(prices: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    ratios = predictions / prices
    median = float(np.median(ratios))
    # Half of the value is the prediction at the median ratio, because the price alone would make its own error a trend.
    value = np.log2((predictions / median + prices) / 2)
    spread = float(((value - value.mean()) ** 2).sum())
    deviations = ratios / median - 1
    return {
        "cod": float(100 * np.mean(np.abs(deviations))),
        "prd": float(ratios.mean() / (predictions.sum() / prices.sum())),
        "prb": float((deviations * (value - value.mean())).sum() / spread) if spread else 0.0,
    }


def _band(low: float, high: float) -> str:
    if low == -np.inf:
        return f"up to {high:,.15g}"
    return f"above {low:,.15g}" if high == np.inf else f"{low:,.15g} to {high:,.15g}"
