"""The champion and the version before it, from the registry."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog
from catboost import CatBoostError

from veleta.adapters.booster import NativeBooster
from veleta.dataset import Dataset, Values
from veleta.errors import Reject
from veleta.ports import ARTIFACTS, CHAMPION, PREVIOUS, Registry, Version
from veleta.predictor import Predictor
from veleta.reference import Reference
from veleta.training_values import TrainingValues
from veleta.unknown_values import unknown_share

log = structlog.get_logger()
KEPT = 3
"""Versions in memory: after a promotion, the champion that was replaced is not downloaded again."""


class CatBoostVersion:
    """`Model` by its CatBoost file."""

    def __init__(self, dataset: Dataset, version: Version, booster: NativeBooster, reference: Reference | None) -> None:
        """Raises OtherFeatures: the model learnt from features that the dataset file does not define."""
        self._dataset = dataset
        self._predictor = Predictor(dataset, booster)
        self._booster = booster
        self._learnt = TrainingValues.of_model(booster.get_metadata())
        self.number, self.run_id = version.number, version.run_id
        self.reference = reference
        self.market = self._predictor.market
        self._offset = 0.0 if self.market else self._predictor.offset

    def predict(self, rows: Sequence[Values]) -> tuple[np.ndarray, np.ndarray]:
        features = self._predictor.features(rows)
        if not features:
            return np.empty(0), np.empty(0)
        if not self._booster.has_error_model:
            return np.array(self._booster.predict(features)) + self._offset, np.empty(0)
        logarithms, sizes = self._booster.predict_with_sizes(features)
        return np.array(logarithms) + self._offset, np.exp(np.array(sizes))

    def unknown(self, rows: Sequence[Values]) -> float:
        return unknown_share(self._dataset, self._learnt, rows) if self._learnt else 0.0


@dataclass
class RegistryModels:
    """`Models` by the aliases of the registry, and `NumberedModels`.

    A version is downloaded once. One that cannot be read is tried again with the next batch.
    """

    _dataset: Dataset
    _registry: Registry
    _loaded: dict[tuple[int, str], CatBoostVersion] = field(default_factory=dict)

    def champion(self) -> CatBoostVersion | None:
        return self._of_alias(CHAMPION)

    def previous(self) -> CatBoostVersion | None:
        return self._of_alias(PREVIOUS)

    def numbered(self, number: int) -> CatBoostVersion:
        version = self._registry.version(number)
        if version is None:
            raise Reject(f"version {number} was deleted")
        if state := version.tags.get(ARTIFACTS):
            raise Reject(f"the artifacts of version {number} are {state}")
        if (model := self._of(version)) is None:
            raise Reject(f"the model of version {number} cannot be used")
        return model

    def _of_alias(self, alias: str) -> CatBoostVersion | None:
        version = self._registry.alias(alias)
        return self._of(version) if version else None

    def _of(self, version: Version) -> CatBoostVersion | None:
        key = version.number, version.run_id
        if key not in self._loaded and (model := self._load(version)):
            self._loaded = {**dict(list(self._loaded.items())[1 - KEPT :]), key: model}
        return self._loaded.get(key)

    def _load(self, version: Version) -> CatBoostVersion | None:
        """The model of a version. None if its file is missing or damaged, or of other features."""
        with tempfile.TemporaryDirectory(prefix="veleta-drift-") as name:
            folder = Path(name)
            try:
                booster = NativeBooster(self._registry.download_native(version, folder))
                return CatBoostVersion(self._dataset, version, booster, self._registry.reference(version))
            except (Reject, CatBoostError, ValueError) as error:
                log.warning("version not measured", version=version.number, reason=str(error))
                return None
