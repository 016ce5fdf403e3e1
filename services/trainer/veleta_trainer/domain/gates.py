"""The gates that a challenger passes before it replaces the champion, and what each of them finds on the holdout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from veleta.dataset import Dataset
from veleta.errors import Reject
from veleta.intervals import COVERAGE
from veleta.smoke_check import smoke_check
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.evaluation import WHOLE

EXAMPLE, MAE, CHANCE, SLICES, LATEST, COVERED = "example", "mae", "chance", "slices", "latest", "coverage"
"""The names of the gates."""
IMPROVEMENT = 0.01
"""The share by which the MAE must be lower."""
CONFIDENCE = 0.95
"""That of the two-sided bootstrap interval of a change of the MAE."""
RESAMPLES = 2_000
MAX_GROUPS = 2_000
"""If there are more properties, groups of them are resampled, so that the time has a bound."""
MIN_PROPERTIES = 10
"""With fewer properties a bootstrap interval is too narrow."""
SLICE_ROWS = 200
"""A slice with fewer rows does not count: its MAE is too uncertain."""
SLICE_WORSE = 0.05
"""The share by which the MAE of a slice may be higher."""
COVERAGE_DEVIATION = 0.03
"""The most by which the coverage may differ from COVERAGE."""


@dataclass(frozen=True)
class Errors:
    """The absolute errors of challenger and champion on the same rows, and the hash of each row's property."""

    challenger: np.ndarray
    champion: np.ndarray
    properties: np.ndarray

    @classmethod
    def of(cls, prices: np.ndarray, challenger: np.ndarray, champion: np.ndarray, properties: np.ndarray) -> Self:
        """Those of two models that predict these prices for rows with true `prices`."""
        return cls(np.abs(challenger - prices), np.abs(champion - prices), properties)

    def __len__(self) -> int:
        return len(self.properties)

    @property
    def maes(self) -> tuple[float, float]:
        """The MAE of both, in the target's unit. There must be rows."""
        return float(self.challenger.mean()), float(self.champion.mean())

    @property
    def change(self) -> float:
        """The relative change of the MAE."""
        return _change(*self.maes)

    def part(self, rows: np.ndarray) -> Self:
        """Those of the rows of a mask."""
        return type(self)(self.challenger[rows], self.champion[rows], self.properties[rows])

    def interval(self) -> tuple[float, float] | None:
        """The bootstrap interval of `change`. None if there are too few properties.

        The errors of one property are alike. So whole properties are resampled (Davison and Hinkley 1997, Bootstrap
        Methods and their Application, section 3.8), each with the errors of both models. The interval is that of the
        percentiles.
        """
        _, numbers = np.unique(self.properties, return_inverse=True)
        if numbers.max(initial=-1) + 1 < MIN_PROPERTIES or not self.champion.any():
            return None
        challenger, champion = (np.bincount(numbers % MAX_GROUPS, each) for each in (self.challenger, self.champion))
        rng = np.random.default_rng(0)
        samples = (rng.integers(len(champion), size=len(champion)) for _ in range(RESAMPLES))
        changes = [challenger[drawn].sum() / champion[drawn].sum() - 1 for drawn in samples]
        low, high = np.quantile(changes, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return float(low), float(high)


def middle_prices(challenger: np.ndarray, champion: np.ndarray) -> np.ndarray:
    """The geometric mean of both predictions: the prices whose bands the gates compare.

    A band of true prices favours a model that knows only such prices: it predicts them for all rows.
    """
    return np.asarray(np.sqrt(challenger * champion))


def example_gate(dataset: Dataset, price: float) -> Check:
    """Whether a model's price of the dataset's example passes the smoke check."""
    low, high = dataset.cleaning[dataset.target]
    try:
        smoke_check(dataset, price, (), ())
    except Reject as error:
        return Check(EXAMPLE, str(error), passed=False)
    return Check(EXAMPLE, f"{price:,.0f} is between {low:,.0f} and {high:,.0f}", passed=True)


def compare(errors: Errors, parts: Mapping[str, np.ndarray], version: int | None) -> list[Check]:
    """The gates that compare a challenger with the champion, a version. `parts` has a mask of rows by slice."""
    return [
        mae_gate(*errors.maes, len(errors), version),
        chance_gate(errors),
        slices_gate({name: errors.part(rows) for name, rows in parts.items() if name != WHOLE}),
    ]


def mae_gate(challenger: float, champion: float, rows: int, version: int | None) -> Check:
    """Whether the MAE (in the target's unit) is at least IMPROVEMENT lower than that of the champion, a version."""
    change = _change(challenger, champion)
    against = f"MAE {challenger:,.0f} against {champion:,.0f} of version {version}"
    values = {"challenger": challenger, "champion": champion, "change": change}
    return Check(MAE, f"{against} on the same {rows:,} rows ({change:+.1%})", change <= -IMPROVEMENT, values)


def chance_gate(errors: Errors) -> Check:
    """Whether chance is excluded: the bootstrap interval of the change of the MAE is below 0."""
    interval = errors.interval()
    if interval is None:
        return Check(CHANCE, f"{MIN_PROPERTIES} properties are needed to exclude chance", passed=False)
    low, high = interval
    figures = f"the change of the MAE is within {low:+.1%} and {high:+.1%} ({CONFIDENCE:.0%} interval)"
    return Check(CHANCE, figures, high < 0, {"low": low, "high": high})


def slices_gate(parts: Mapping[str, Errors]) -> Check:
    """Whether no slice is more than SLICE_WORSE worse, beyond chance.

    Of some fifty slices of a better model, one is often that much worse by chance.
    """
    large = {name: errors for name, errors in parts.items() if len(errors) >= SLICE_ROWS}
    if not large:
        return Check(SLICES, f"no slice has {SLICE_ROWS} rows", passed=True)
    changes = {name: errors.change for name, errors in large.items()}
    worse = [name for name, change in changes.items() if change > SLICE_WORSE and _is_proven_worse(large[name])]
    named = max(worse or changes, key=changes.__getitem__)
    where = f"the {len(large[named]):,} rows of {named}, the worst of {len(changes)} slices"
    return Check(SLICES, f"MAE {changes[named]:+.1%} on {where}", not worse, changes)


def latest_gate(name: str, errors: Errors) -> Check:
    """Whether the rows of the latest period, with this name, are not more than SLICE_WORSE worse, beyond chance."""
    change = errors.change
    worse = change > SLICE_WORSE and _is_proven_worse(errors)
    return Check(LATEST, f"MAE {change:+.1%} on the {len(errors):,} rows of the {name}", not worse, {"change": change})


def coverage_gate(coverage: float, rows: int) -> Check:
    """Whether the intervals contain the share COVERAGE of the prices: within COVERAGE_DEVIATION or two standard errors.

    Two standard errors are more if there are fewer than 711 rows.
    """
    allowed = max(COVERAGE_DEVIATION, 2 * float(np.sqrt(COVERAGE * (1 - COVERAGE) / rows)))
    figures = f"{coverage:.1%} of {rows:,} prices are in their intervals, and {COVERAGE:.0%} ± {allowed:.1%} shall be"
    return Check(COVERED, figures, abs(coverage - COVERAGE) <= allowed, {"coverage": coverage, "allowed": allowed})


def _is_proven_worse(errors: Errors) -> bool:
    interval = errors.interval()
    return interval is not None and interval[0] > 0


def _change(challenger: float, champion: float) -> float:
    """A champion without any error cannot be improved: 0, or 1 for a worse challenger."""
    return challenger / champion - 1 if champion else float(challenger > 0)
