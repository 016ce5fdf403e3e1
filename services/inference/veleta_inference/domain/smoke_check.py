"""Whether a model's prices make sense, before anybody is told one."""

import math
from collections.abc import Sequence

from veleta.dataset import Dataset
from veleta.errors import Reject


def tried(dataset: Dataset, example: float, recent: Sequence[float], before: Sequence[float]) -> None:
    """Look at a model's price of the dataset's example, and at those of rows that were asked for lately.

    Every price must be a finite number above 0. The example's, and most of the others, must lie within the bounds that
    cleaning sets to what the model learns. Rows to which the model before it gave different prices (`before`) must not
    all have one.

    Raises:
        Reject: they are no prices; the message says which.
    """
    low, high = dataset.cleaning.get(dataset.target, (0.0, math.inf))
    for price in (example, *recent):
        if not math.isfinite(price) or price <= 0:
            raise Reject("the trial prediction is no price", str(price))
    if not low <= example <= high:
        raise Reject("the trial prediction is out of bounds", f"{example:g} is not between {low:g} and {high:g}")
    outside = sum(not low <= price <= high for price in recent)
    if 2 * outside > len(recent):
        raise Reject("the trial prediction is out of bounds", f"{outside} of {len(recent)} of the last requests")
    if len(set(recent)) == 1 < len(set(before)):
        raise Reject("the trial prediction is constant", f"{recent[0]:g} for each of the last {len(recent)} requests")
