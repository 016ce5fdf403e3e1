"""Measures how well prices were predicted."""

import numpy as np

ACCURACY = "accuracy"
"""R2 under its name in the registry of the original course project."""


def interval_scores(prices: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, float]:
    """The share of prices within their intervals, and the median width of an interval as a share of its middle.

    Empty if an interval is NaN.
    """
    if len(prices) == 0 or np.isnan(low).any():
        return {}
    inside = (low <= prices) & (prices <= high)
    return {"coverage": float(inside.mean()), "interval_width": float(np.median((high - low) / np.sqrt(low * high)))}


def scores(prices: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """RMSE and MAE (in the target's unit), median absolute percentage error (a fraction), R2.

    `accuracy` is R2: see ACCURACY. R2 is 0 if all prices are equal.
    """
    errors = predictions - prices
    variation = float(((prices - prices.mean()) ** 2).sum())
    r2 = 1 - float((errors**2).sum()) / variation if variation else 0.0
    return {
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
        "median_ape": float(np.median(np.abs(errors) / prices)),
        "r2": r2,
        ACCURACY: r2,
    }
