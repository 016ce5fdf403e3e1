"""What each feature adds to prices, with the names and data that the package shap needs for its pictures."""

import numpy as np
import pandas as pd
import shap
from catboost import CatBoostRegressor, Pool

from veleta.contributions import market_title, price_contributions
from veleta.dataset import Dataset, Values
from veleta.features import Features
from veleta.market_levels import MarketLevels
from veleta.shap_values import shap_values

NOT_GIVEN = "not given"
"""What a picture shows instead of a missing value."""


def feature_frame(dataset: Dataset, rows: list[Values]) -> pd.DataFrame:
    """The features of typed rows (rows x features), with categories as the dtype `category`."""
    features = Features(dataset)
    frame = pd.DataFrame([features.of(row) for row in rows], columns=features.names)
    return frame.astype({features.names[i]: "category" for i in features.categorical})


def explanation(booster: CatBoostRegressor, dataset: Dataset, rows: pd.DataFrame) -> shap.Explanation:
    """The contributions to the prices of rows of features (see `price_contributions`), for the features of the model.

    Values and base values are in the target's unit. All rows have the same base value. A single row shows its
    categories as text. Many rows show them as codes, because pictures colour points by them. The last contribution is
    the level of the market at the end of the training, if the model has one.
    """
    features = Features(dataset, booster.feature_names_)
    rows = rows[features.names]
    logarithms, base = shap_values(booster, Pool(rows, cat_features=features.categorical))
    shown = _as_texts(rows) if len(rows) == 1 else _as_numbers(rows)
    titles = [each.title for each in features.infos]
    if market := MarketLevels.of_model(booster.get_metadata()):
        logarithms = np.column_stack([logarithms, np.full(len(rows), market.now.value)])
        shown = np.column_stack([shown, np.full(len(rows), round(np.exp(market.now.value), 3))])
        titles.append(market_title(market.since))
    prices = np.exp(base + logarithms.sum(axis=1))
    values = [price_contributions(price, row)[1] for price, row in zip(prices, logarithms, strict=True)]
    return shap.Explanation(np.array(values), base_values=np.exp(base), data=shown, feature_names=titles)


def influence(whole: shap.Explanation, names: list[str]) -> pd.DataFrame:
    """The mean absolute contribution of each feature, in descending order: `feature`, `title`, `mean_effect`.

    `names` are those of the features. The level of a market is none: its title is its name.
    """
    strength = np.abs(whole.values).mean(axis=0)
    names = [*names, *whole.feature_names[len(names) :]]
    table = pd.DataFrame({"feature": names, "title": whole.feature_names, "mean_effect": strength})
    return table.sort_values("mean_effect", ascending=False, ignore_index=True)


def _as_texts(rows: pd.DataFrame) -> np.ndarray:
    values = rows.to_numpy(dtype=object)
    values[pd.isna(values) | (values == "")] = NOT_GIVEN
    return values


def _as_numbers(rows: pd.DataFrame) -> np.ndarray:
    coded = {name: column.cat.codes if column.dtype == "category" else column for name, column in rows.items()}
    return pd.DataFrame(coded).to_numpy(dtype=float)
