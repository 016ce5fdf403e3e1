"""Why a model says what it says: SHAP values.

They are those of the logarithm of the price: a value of 0.1 raises the price by about a tenth.
"""

import numpy as np
import pandas as pd
import shap
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset, Values
from veleta.features import categorical, feature_columns, features


def feature_frame(dataset: Dataset, rows: list[Values]) -> pd.DataFrame:
    """The features of typed rows: a line for each row, a column for each feature, categories as such."""
    columns = feature_columns(dataset)
    frame = pd.DataFrame([features(columns, row) for row in rows], columns=[c.name for c in columns])
    return frame.astype({columns[i].name: "category" for i in categorical(dataset)})


def explanation(booster: CatBoostRegressor, dataset: Dataset, rows: pd.DataFrame) -> shap.Explanation:
    """The SHAP values of each row of features, with what they add up from (rows x features).

    A single row shows its categories as they are, many rows show them as codes: pictures colour points by them.
    """
    explainer = shap.TreeExplainer(booster)
    values = explainer.shap_values(Pool(rows, cat_features=categorical(dataset)))
    base = np.full(len(rows), explainer.expected_value)
    shown = rows.to_numpy(dtype=object) if len(rows) == 1 else _as_numbers(rows)
    names = [column.title for column in feature_columns(dataset)]
    return shap.Explanation(values, base_values=base, data=shown, feature_names=names)


def influence(whole: shap.Explanation, names: list[str]) -> pd.DataFrame:
    """How much each feature moves the price on average: `feature`, `title`, `mean_abs_shap`, the strongest first."""
    strength = np.abs(whole.values).mean(axis=0)
    table = pd.DataFrame({"feature": names, "title": whole.feature_names, "mean_abs_shap": strength})
    return table.sort_values("mean_abs_shap", ascending=False, ignore_index=True)


def _as_numbers(rows: pd.DataFrame) -> np.ndarray:
    coded = {name: column.cat.codes if column.dtype == "category" else column for name, column in rows.items()}
    return pd.DataFrame(coded).to_numpy(dtype=float)
