"""How well prices were predicted."""

import numpy as np


def scores(prices: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """RMSE and MAE (in the target's unit), median absolute percentage error (a fraction), R2.

    `accuracy` is R2 under the name that the seed's registry used. R2 is 0 where all prices are the same.
    """
    errors = predictions - prices
    spread = float(((prices - prices.mean()) ** 2).sum())
    r2 = 1 - float((errors**2).sum()) / spread if spread else 0.0
    return {
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
        "median_ape": float(np.median(np.abs(errors) / prices)),
        "r2": r2,
        "accuracy": r2,
    }
