"""Versions for tests of drift, whose errors are known, and what their trainings leave."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from veleta.dataset import Dataset, Row, Values, load_dataset
from veleta.market_levels import MarketLevels
from veleta.reference import Reference
from veleta_drift.domain.row_sample import RowSample, inputs_of

TARGET = load_dataset("real_estate").target
WITHOUT_RULES = load_dataset("real_estate").text.split("# How the course's API splits")[0]
"""The dataset file without the rules that choose the rows of a batch by their price: each batch judges a training."""
SPREAD = 0.2
"""Standard deviation of a fake model's log errors."""


@dataclass(frozen=True)
class FakeModel:
    """A model that is wrong by a known amount: `bias` is log(truth) - log(prediction). In a market it is the level."""

    number: int
    reference: Reference | None
    bias: float = 0.0
    spread: float = SPREAD
    run_id: str = "run"
    market: MarketLevels | None = None

    def predict(self, rows: Sequence[Values]) -> tuple[np.ndarray, np.ndarray]:
        truth = np.log(np.array([row[TARGET] for row in rows], float))
        noise = np.random.default_rng(len(rows)).normal(0, self.spread, len(rows))
        return truth - self.bias - noise, np.full(len(rows), self.spread)

    def unknown(self, rows: Sequence[Values]) -> float:
        return 0.0


def reference_of(dataset: Dataset, rows: Sequence[Row], errors: int = 2_000) -> Reference:
    """What a training on these rows leaves, with so many errors of a fake model."""
    sample = RowSample(dataset, len(rows))
    sample.add(list(rows))
    inputs = inputs_of(dataset, sample.clean())
    return Reference(
        numbers={name: values.tolist() for name, values in inputs.numbers.items()},
        texts={name: values.tolist() for name, values in inputs.texts.items()},
        signed=np.random.default_rng(0).normal(0, SPREAD, errors).tolist(),
        sizes=[SPREAD] * errors,
        unknown=0.0,
        train_rows=len(rows),
        holdout_rows=errors,
    )
