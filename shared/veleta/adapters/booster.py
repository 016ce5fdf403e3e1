"""CatBoost models that predict a few rows at a time."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
from catboost import CatBoostRegressor, Pool

from veleta.errors import Reject
from veleta.features import Feature
from veleta.intervals import ERROR_MODEL, error_model_file

PARAMETERS, LOSS = "params", "loss_function"


class NativeBooster:
    """`Booster` on a .cbm file. One thread predicts: to start more would take 0.5 ms per call."""

    def __init__(self, path: Path) -> None:
        """Raises CatBoostError if the file contains no model."""
        self._model = CatBoostRegressor().load_model(str(path))
        self._categories = self._model.get_cat_feature_indices()
        self._error_model = _error_model(self._model)
        _remove_training_parameters(self._model)

    @property
    def feature_names_(self) -> Sequence[str]:
        names: Sequence[str] = self._model.feature_names_
        return names

    def get_metadata(self) -> dict[str, str]:
        return dict(self._model.get_metadata())

    def predict(self, data: Sequence[Sequence[Feature]]) -> Iterable[float]:
        return _predict(self._model, self._pool(data))

    @property
    def has_error_model(self) -> bool:
        """Whether the model's file has a model of the sizes of its errors."""
        return self._error_model is not None

    def predict_with_sizes(self, data: Sequence[Sequence[Feature]]) -> tuple[Iterable[float], Iterable[float]]:
        if self._error_model is None:
            raise Reject("the model's file is incomplete", "it has a calibration of intervals, and no model of errors")
        pool = self._pool(data)
        return _predict(self._model, pool), _predict(self._error_model, pool)

    def _pool(self, data: Sequence[Sequence[Feature]]) -> Pool:
        return Pool(data, cat_features=self._categories, thread_count=1)


def _predict(model: CatBoostRegressor, pool: Pool) -> list[float]:
    """Python's floats: what follows is slower with those of NumPy."""
    predictions: list[float] = model.predict(pool, thread_count=1).tolist()
    return predictions


def _error_model(model: CatBoostRegressor) -> CatBoostRegressor | None:
    """The model of the sizes of errors in a model's metadata, which no longer have it then: it is large."""
    metadata = model.get_metadata()
    if ERROR_MODEL not in dict(metadata):
        return None
    error_model = CatBoostRegressor().load_model(blob=error_model_file(metadata))
    del metadata[ERROR_MODEL]
    _remove_training_parameters(error_model)
    return error_model


def _remove_training_parameters(model: CatBoostRegressor) -> None:
    """Reduce the training parameters of a model in memory to the loss function. The file does not change.

    CatBoost parses all of them in each call of `predict`, only to read the loss function. That takes six times as long
    as the prediction of 16 rows (docs/performance.md).
    """
    metadata = model.get_metadata()
    if text := dict(metadata).get(PARAMETERS):
        loss = orjson.loads(text)[LOSS]
        metadata[PARAMETERS] = orjson.dumps({LOSS: loss}).decode()
