"""Explains a model by SHAP values of the holdout and of the example row, as pictures and a table.

The values explain the logarithm of the price: a value of 0.1 raises the price by about 10 %.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import shap
from catboost import CatBoostRegressor

from veleta.dataset import Dataset
from veleta.explanation import explanation, influence
from veleta.features import Feature
from veleta_trainer.adapters.child_protocol import SAMPLE_ROWS
from veleta_trainer.adapters.tables import write_table

mpl.use("Agg")
from matplotlib import pyplot as plt

SHOWN_FEATURES = 20
"""Features in a picture: the strongest ones. The table has all."""


def explain(
    booster: CatBoostRegressor, dataset: Dataset, holdout: pd.DataFrame, example: list[Feature], folder: Path
) -> None:
    """Write summary.png, bar.png, waterfall.png (the example row) and importance.csv to `folder`."""
    folder.mkdir()
    sample = holdout.head(SAMPLE_ROWS)
    sampled = explanation(booster, dataset, sample)
    single = explanation(booster, dataset, pd.DataFrame([example], columns=sample.columns))
    options = {"max_display": SHOWN_FEATURES, "show": False}
    _picture(folder / "summary.png", lambda: shap.plots.beeswarm(sampled, **options))
    _picture(folder / "bar.png", lambda: shap.plots.bar(sampled, **options))
    _picture(folder / "waterfall.png", lambda: shap.plots.waterfall(single[0], **options))
    write_table(folder / "importance.csv", influence(sampled, list(sample.columns)))


def _picture(path: Path, draw: Callable[[], object]) -> None:
    plt.figure()
    draw()
    plt.savefig(path, dpi=110, bbox_inches="tight")
    plt.close("all")
