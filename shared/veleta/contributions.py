"""The contribution of each feature to a price, in the price's unit."""

import math
from collections.abc import Sequence


def market_title(since: str) -> str:
    """The name of the contribution of the market's level, which is relative to the period `since`."""
    return f"market since {since}"


def price_contributions(price: float, shap_values: Sequence[float]) -> tuple[float, list[float]]:
    """The base price and each feature's contribution to it. Base price and contributions add up to the price.

    `shap_values` are those of the price's logarithm. A contribution has the same share of the difference between price
    and base price as its SHAP value has of the difference between their logarithms. These are the integrated gradients
    of the price (Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, 2017) on the straight path from
    no SHAP value to all of them.
    """
    total = sum(shap_values)
    rate = -price * math.expm1(-total) / total if total else price
    return price * math.exp(-total), [value * rate for value in shap_values]
