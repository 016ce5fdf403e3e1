"""Explains a model by what each feature adds to the prices of the holdout and of the example row.

All amounts are in the target's unit (see `veleta.contributions`).
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from catboost import CatBoostRegressor

from veleta.dataset import Dataset
from veleta.explanation import explanation, influence
from veleta.explanation_pictures import draw_bars, draw_summary, draw_waterfall
from veleta.features import Feature
from veleta_trainer.adapters.tables import write_table

mpl.use("Agg")
from matplotlib import pyplot as plt


def explain(
    booster: CatBoostRegressor, dataset: Dataset, sample: pd.DataFrame, example: list[Feature], folder: Path
) -> None:
    """Write summary.png, bar.png, waterfall.png (the example row) and importance.csv to `folder`.

    `sample` has rows of the holdout: features, one column each.
    """
    folder.mkdir()
    sampled = explanation(booster, dataset, sample)
    single = explanation(booster, dataset, pd.DataFrame([example], columns=sample.columns))
    _picture(folder / "summary.png", lambda: draw_summary(sampled, dataset))
    _picture(folder / "bar.png", lambda: draw_bars(sampled, dataset))
    _picture(folder / "waterfall.png", lambda: draw_waterfall(single[0], dataset))
    unit = dataset.by_name[dataset.target].unit
    write_table(folder / "importance.csv", influence(sampled, list(sample.columns)).assign(unit=unit))


def _picture(path: Path, draw: Callable[[], object]) -> None:
    with mpl.rc_context({"text.parse_math": False}):  # a dataset's titles and units may contain dollar signs
        plt.figure()
        draw()
        plt.savefig(path, dpi=110, bbox_inches="tight")
    plt.close("all")
