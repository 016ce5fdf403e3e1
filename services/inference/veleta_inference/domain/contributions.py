"""What each feature adds to a price, in money."""

import math
from collections.abc import Sequence


def in_money(price: float, shares: Sequence[float]) -> tuple[float, list[float]]:
    """The base value, and what each feature adds to it; together they are the price.

    `shares` are the features' SHAP values of the price's logarithm. A share of the logarithm is as much of the way from
    the base value to the price as it is of the way between their logarithms.
    """
    way = sum(shares)
    rate = -price * math.expm1(-way) / way if way else price
    return price * math.exp(-way), [share * rate for share in shares]
