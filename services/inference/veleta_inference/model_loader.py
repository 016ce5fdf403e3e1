"""Loads the model of a promotion from the registry, as the registry knows it."""

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

import structlog

from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.feature_definition import METADATA
from veleta.intervals import AdjustedLevel
from veleta.model_digest import model_digest
from veleta.ports import DIGEST, INTERVAL_LEVEL, Registry, Version
from veleta_inference.domain.interval_predictor import IntervalBooster, IntervalPredictor
from veleta_inference.domain.promotions import LoadedModel, Promotion, known_version

log = structlog.get_logger()


class ModelLoader:
    """Loads models into a folder. Each has a folder of its own there, which is deleted with the model."""

    def __init__(
        self,
        dataset: Dataset,
        registry: Registry,
        load: Callable[[Path], IntervalBooster],
        clock: Clock,
        folder: Path,
    ) -> None:
        """`load` reads the file of a model."""
        self._dataset = dataset
        self._registry = registry
        self._load = load
        self._clock = clock
        self._folder = folder

    def load(self, promotion: Promotion, check: Callable[[IntervalPredictor], object]) -> LoadedModel:
        """The model of a promotion. `check` raises an error if it is not to be used.

        Raises:
            UnknownPromotion: the registry does not know the promotion.
            Reject: the version has no model, or not the one that was trained, or one of other features.
            Retry: the registry is unavailable.
        """
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            version = self._version(promotion)
            path = self._registry.download_native(version, folder)
            booster = self._load(path)
            model = LoadedModel.of_booster(
                self._dataset, promotion, booster, self._clock(), path, model_digest(path.read_bytes()),
                verified=DIGEST in version.tags, trained_with=self._trained_with(promotion, booster),
            )  # fmt: skip
            check(model.predictor)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # An explanation reads the file, also after a swap. So the last response of the model deletes it.
        weakref.finalize(booster, shutil.rmtree, folder, ignore_errors=True)
        return model.at_level(AdjustedLevel.of_tag(version.tags.get(INTERVAL_LEVEL, "")))

    def _version(self, promotion: Promotion) -> Version:
        """The version of a promotion, as the registry knows it. A deleted champion is known by its record.

        Raises:
            UnknownPromotion: the registry does not know the promotion.
        """
        if promotion.causes is None:
            return promotion.version
        known = self._registry.version(promotion.version.number) or self._registry.recorded_champion()
        return known_version(promotion, known)

    def _trained_with(self, promotion: Promotion, booster: IntervalBooster) -> str | None:
        """The dataset file of a training whose model does not contain the definition of its features."""
        if METADATA in booster.get_metadata():
            return None
        file = self._registry.dataset_file(promotion.version)
        if file is None:
            log.warning("only the names of the model's features can be compared", version=promotion.version.number)
        return file
