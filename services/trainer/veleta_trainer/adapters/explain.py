"""Why the model says what it says: SHAP values of the holdout and of the example row, as pictures and a table.

Values are those of the logarithm of the price: a value of 0.1 raises the price by about a tenth.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import shap
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset
from veleta.features import Feature, categorical, feature_columns

mpl.use("Agg")
from matplotlib import pyplot as plt

SAMPLE_ROWS = 1_000
"""So many rows of the holdout show the same picture as all of them."""


def explain(
    booster: CatBoostRegressor, dataset: Dataset, holdout: pd.DataFrame, example: list[Feature], folder: Path
) -> None:
    """Write summary.png, bar.png, waterfall.png (the example row) and importance.csv to `folder`."""
    folder.mkdir()
    names = [c.title for c in feature_columns(dataset)]
    sample = holdout.head(SAMPLE_ROWS)
    one = pd.DataFrame([example], columns=sample.columns)
    whole = _explanation(booster, sample, _as_numbers(sample), names, categorical(dataset))
    single = _explanation(booster, one, one.to_numpy(dtype=object), names, categorical(dataset))
    _picture(folder / "summary.png", lambda: shap.plots.beeswarm(whole, max_display=len(names), show=False))
    _picture(folder / "bar.png", lambda: shap.plots.bar(whole, max_display=len(names), show=False))
    _picture(folder / "waterfall.png", lambda: shap.plots.waterfall(single[0], max_display=len(names), show=False))
    strength = np.abs(whole.values).mean(axis=0)
    table = pd.DataFrame({"feature": sample.columns, "title": names, "mean_abs_shap": strength})
    table.sort_values("mean_abs_shap", ascending=False).to_csv(folder / "importance.csv", index=False)


def _explanation(
    booster: CatBoostRegressor, rows: pd.DataFrame, shown: np.ndarray, names: list[str], texts: list[int]
) -> shap.Explanation:
    explainer = shap.TreeExplainer(booster)
    values = explainer.shap_values(Pool(rows, cat_features=texts))
    base = np.full(len(rows), explainer.expected_value)
    return shap.Explanation(values, base_values=base, data=shown, feature_names=names)


def _as_numbers(rows: pd.DataFrame) -> np.ndarray:
    """Categories as codes: the summary colours points by them."""
    coded = {name: column.cat.codes if column.dtype == "category" else column for name, column in rows.items()}
    return pd.DataFrame(coded).to_numpy(dtype=float)


def _picture(path: Path, draw: Callable[[], object]) -> None:
    plt.figure()
    draw()
    plt.savefig(path, dpi=110, bbox_inches="tight")
    plt.close("all")
