"""The check of a model's predictions before it is promoted by a command, and before it is served."""

import math
from collections.abc import Sequence

from veleta.dataset import Dataset
from veleta.errors import Reject


def smoke_check(dataset: Dataset, example: float, recent: Sequence[float], before: Sequence[float]) -> None:
    """Check a model's price of the dataset's example, and its prices of rows from recent requests.

    Every price must be a finite number above 0. The example's price, and at least half of the others, must be within
    the bounds that cleaning sets for the training data. If the served model gives the recent rows different prices
    (`before`), the new model must not give them all the same price.

    Raises:
        Reject: a rule is broken; the message names it.
    """
    low, high = dataset.cleaning[dataset.target]
    for price in (example, *recent):
        if not math.isfinite(price) or price <= 0:
            raise Reject("the smoke check's price is not a positive number", str(price))
    if not low <= example <= high:
        raise Reject("the smoke check's price is out of bounds", f"{example:g} is not between {low:g} and {high:g}")
    outside = sum(not low <= price <= high for price in recent)
    if 2 * outside > len(recent):
        raise Reject("the smoke check's prices are out of bounds", f"{outside} of {len(recent)} recent rows")
    if len(set(recent)) == 1 < len(set(before)):
        raise Reject("the smoke check's prices are constant", f"{recent[0]:g} for each of {len(recent)} recent rows")
