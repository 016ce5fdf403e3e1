"""CatBoost models, asked for a few rows at a time."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
from catboost import CatBoostRegressor, Pool

from veleta.features import Feature

PARAMETERS, LOSS = "params", "loss_function"


class NativeBooster:
    """`Booster` on a .cbm file. One thread does all: others would look for work, and find none, for 0.5 ms a call."""

    def __init__(self, path: Path) -> None:
        """Raises CatBoostError when the file holds no model."""
        self._model = CatBoostRegressor().load_model(str(path))
        self._categories = self._model.get_cat_feature_indices()
        _lighten(self._model)

    @property
    def feature_names_(self) -> Sequence[str]:
        """See `Booster.feature_names_`."""
        names: Sequence[str] = self._model.feature_names_
        return names

    def get_metadata(self) -> dict[str, str]:
        """See `Booster.get_metadata`."""
        return dict(self._model.get_metadata())

    def predict(self, data: Sequence[Sequence[Feature]]) -> Iterable[float]:
        """See `Booster.predict`."""
        pool = Pool(data, cat_features=self._categories, thread_count=1)
        found: Iterable[float] = self._model.predict(pool, thread_count=1)
        return found


def _lighten(model: CatBoostRegressor) -> None:
    """Forget with which parameters a model in memory was trained, but for its loss function.

    CatBoost parses them anew at each call, for the loss function alone: six times what predicting 16 rows takes
    (docs/performance.md).
    """
    metadata = model.get_metadata()
    if parameters := dict(metadata).get(PARAMETERS):
        metadata[PARAMETERS] = orjson.dumps({LOSS: orjson.loads(parameters)[LOSS]}).decode()
