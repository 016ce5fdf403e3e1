"""SHAP values of features, with the names and data that the package shap needs for its pictures."""

import numpy as np
import pandas as pd
import shap
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset, Values
from veleta.features import Features
from veleta.shap_values import shap_values


def feature_frame(dataset: Dataset, rows: list[Values]) -> pd.DataFrame:
    """The features of typed rows (rows x features), with categories as the dtype `category`."""
    features = Features(dataset)
    frame = pd.DataFrame([features.of(row) for row in rows], columns=features.names)
    return frame.astype({features.names[i]: "category" for i in features.categorical})


def explanation(booster: CatBoostRegressor, dataset: Dataset, rows: pd.DataFrame) -> shap.Explanation:
    """The SHAP values of rows of features (see `shap_values`), for the features of the model.

    A single row shows its categories as text. Many rows show them as codes, because pictures colour points by them.
    """
    features = Features(dataset, booster.feature_names_)
    rows = rows[features.names]
    values, base = shap_values(booster, Pool(rows, cat_features=features.categorical))
    shown = rows.to_numpy(dtype=object) if len(rows) == 1 else _as_numbers(rows)
    titles = [each.title for each in features.infos]
    return shap.Explanation(values, base_values=base, data=shown, feature_names=titles)


def influence(whole: shap.Explanation, names: list[str]) -> pd.DataFrame:
    """The mean absolute SHAP value of each feature, in descending order: `feature`, `title`, `mean_abs_shap`."""
    strength = np.abs(whole.values).mean(axis=0)
    table = pd.DataFrame({"feature": names, "title": whole.feature_names, "mean_abs_shap": strength})
    return table.sort_values("mean_abs_shap", ascending=False, ignore_index=True)


def _as_numbers(rows: pd.DataFrame) -> np.ndarray:
    coded = {name: column.cat.codes if column.dtype == "category" else column for name, column in rows.items()}
    return pd.DataFrame(coded).to_numpy(dtype=float)
