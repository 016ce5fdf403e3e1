"""CatBoost models that predict a few rows at a time."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
from catboost import CatBoostRegressor, Pool

from veleta.features import Feature

PARAMETERS, LOSS = "params", "loss_function"


class NativeBooster:
    """`Booster` on a .cbm file. One thread predicts: to start more would take 0.5 ms per call."""

    def __init__(self, path: Path) -> None:
        """Raises CatBoostError if the file contains no model."""
        self._model = CatBoostRegressor().load_model(str(path))
        self._categories = self._model.get_cat_feature_indices()
        _remove_training_parameters(self._model)

    @property
    def feature_names_(self) -> Sequence[str]:
        names: Sequence[str] = self._model.feature_names_
        return names

    def get_metadata(self) -> dict[str, str]:
        return dict(self._model.get_metadata())

    def predict(self, data: Sequence[Sequence[Feature]]) -> Iterable[float]:
        pool = Pool(data, cat_features=self._categories, thread_count=1)
        predictions: Iterable[float] = self._model.predict(pool, thread_count=1)
        return predictions


def _remove_training_parameters(model: CatBoostRegressor) -> None:
    """Reduce the training parameters of a model in memory to the loss function. The file does not change.

    CatBoost parses all of them in each call of `predict`, only to read the loss function. That takes six times as long
    as the prediction of 16 rows (docs/performance.md).
    """
    metadata = model.get_metadata()
    if text := dict(metadata).get(PARAMETERS):
        loss = orjson.loads(text)[LOSS]
        metadata[PARAMETERS] = orjson.dumps({LOSS: loss}).decode()
