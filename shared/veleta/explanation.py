"""SHAP values of features, with the names and data that the package shap needs for its pictures."""

import numpy as np
import pandas as pd
import shap
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset, Values
from veleta.features import categorical, feature_columns, features
from veleta.shap_values import shap_values


def feature_frame(dataset: Dataset, rows: list[Values]) -> pd.DataFrame:
    """The features of typed rows (rows x features), with categories as the dtype `category`."""
    columns = feature_columns(dataset)
    frame = pd.DataFrame([features(columns, row) for row in rows], columns=[c.name for c in columns])
    return frame.astype({columns[i].name: "category" for i in categorical(dataset)})


def explanation(booster: CatBoostRegressor, dataset: Dataset, rows: pd.DataFrame) -> shap.Explanation:
    """The SHAP values of rows of features (see `shap_values`).

    A single row shows its categories as text. Many rows show them as codes, because pictures colour points by them.
    """
    values, base = shap_values(booster, Pool(rows, cat_features=categorical(dataset)))
    shown = rows.to_numpy(dtype=object) if len(rows) == 1 else _as_numbers(rows)
    names = [column.title for column in feature_columns(dataset)]
    return shap.Explanation(values, base_values=base, data=shown, feature_names=names)


def influence(whole: shap.Explanation, names: list[str]) -> pd.DataFrame:
    """The mean absolute SHAP value of each feature, in descending order: `feature`, `title`, `mean_abs_shap`."""
    strength = np.abs(whole.values).mean(axis=0)
    table = pd.DataFrame({"feature": names, "title": whole.feature_names, "mean_abs_shap": strength})
    return table.sort_values("mean_abs_shap", ascending=False, ignore_index=True)


def _as_numbers(rows: pd.DataFrame) -> np.ndarray:
    coded = {name: column.cat.codes if column.dtype == "category" else column for name, column in rows.items()}
    return pd.DataFrame(coded).to_numpy(dtype=float)
