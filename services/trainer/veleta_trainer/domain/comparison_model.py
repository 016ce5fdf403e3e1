"""A model of another library, which shows what a prediction by CatBoost is worth."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import TargetEncoder

from veleta.dataset import Dataset
from veleta.features import Features

NAME = "HistGradientBoosting"


def fit_comparison_model(dataset: Dataset, frame: pd.DataFrame, prices: np.ndarray, seed: int) -> Pipeline:
    """scikit-learn's gradient boosting on the same features (rows x features), with its default parameters.

    It predicts the logarithm of the price. Each category is replaced by the mean target of its training rows, which
    are encoded across folds (scikit-learn's TargetEncoder).
    """
    features = Features(dataset)
    categories = [features.names[i] for i in features.categorical]
    folds = KFold(shuffle=True, random_state=seed)
    encoder = TargetEncoder(target_type="continuous", cv=folds)
    encoded = ColumnTransformer([("categories", encoder, categories)], remainder="passthrough")
    booster = HistGradientBoostingRegressor(random_state=seed)
    return make_pipeline(encoded, booster).fit(frame, np.log(prices))
