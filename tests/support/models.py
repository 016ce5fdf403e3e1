"""Small CatBoost models, registered and promoted as the trainer does it."""

import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any
from urllib.error import URLError

import orjson
from catboost import CatBoostRegressor, Pool
from mlflow import MlflowClient

from support.http import get, post
from support.testbed import Testbed
from veleta.adapters.mlflow import MlflowRegistry
from veleta.clock import utc_now
from veleta.dataset import Dataset, Row, Values
from veleta.events.catalogue import Causes, ModelPromoted
from veleta.events.envelope import Event, encode
from veleta.feature_definition import FeatureDefinition
from veleta.features import FEATURE_VERSION, Features
from veleta.model_digest import model_digest
from veleta.ports import DIGEST, NATIVE, Version
from veleta.predictor import FEATURES, Predictor
from veleta.topics import topic
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.interval_model import HoldoutPredictions
from veleta_trainer.domain.market_model import fit_models
from veleta_trainer.domain.training_data import TrainingData

METRICS = {"mae": 1000.0}


def synthetic(dataset: Dataset, count: int) -> list[Values]:
    """Rows like the dataset's example, with varying numbers and texts."""
    example, _ = dataset.convert(dataset.example)
    return [
        {
            name: value * (1 + i / count)
            if isinstance(value, float)
            else f"{value} {i % 3}"
            if isinstance(value, str)
            else value
            for name, value in example.items()
        }
        for i in range(count)
    ]


def post_example(url: str, dataset: Dataset, name: str = "") -> int:
    """Request the price of the dataset's example from inference. Returns the status, 0 without a response."""
    try:
        return post(f"{url}/predict", dataset.example, {"X-Request-ID": name})[0]
    except (URLError, OSError):
        return 0


def served_model(url: str) -> dict[str, Any]:
    """The served model of an inference service, from GET /model."""
    return get(f"{url}/model")[1]


def train(dataset: Dataset, path: Path, scale: float = 1.0, rows: Sequence[Values] | None = None) -> None:
    """Save a CatBoost model of ten trees as `path`. Its prices grow with `scale`."""
    rows = rows or synthetic(dataset, 30)
    features = Features(dataset)
    model = CatBoostRegressor(iterations=10, depth=2, random_seed=1, verbose=False, allow_writing_files=False)
    prices = [row[dataset.target] for row in rows]
    logs = [math.log(scale * price) for price in prices if isinstance(price, float)]
    data = [features.of(row) for row in rows]
    model.fit(Pool(data, logs, cat_features=features.categorical, feature_names=features.names))
    model.get_metadata()[FEATURES] = str(FEATURE_VERSION)
    FeatureDefinition.of_dataset(dataset).save(model.get_metadata())
    model.save_model(str(path))


def train_with_intervals(dataset: Dataset, path: Path, rows: Iterable[Row]) -> None:
    """Save a model of 20 trees as `path`, fitted and calibrated on received rows as the trainer does it."""
    data = TrainingData(dataset)
    data.append(CleanBatch.of_rows(dataset, [rows]), 0, holdout_only=False)
    train, holdout = data.train, data.holdout
    models = fit_models(dataset, train.labelled(), {"iterations": 20, "random_seed": 1}, 1)
    booster, error_model = models.both
    held = holdout.labelled()
    predictions = HoldoutPredictions.of_models(dataset, models.both, held.at(held.levels(models.market)))
    if models.market:
        models.market.save(booster.get_metadata())
    error_model.save_model(str(path))
    predictions.calibration().save(booster.get_metadata(), path.read_bytes())
    learnt = train.training_values()
    learnt.save(booster.get_metadata())
    if errors := predictions.holdout_errors(holdout.outside(learnt)):
        errors.save(booster.get_metadata())
    booster.get_metadata()[FEATURES] = str(FEATURE_VERSION)
    FeatureDefinition.of_dataset(dataset).save(booster.get_metadata())
    booster.save_model(str(path))


class Models:
    """The registered model of a deployment, and its promotions."""

    def __init__(self, testbed: Testbed) -> None:
        self._world = testbed
        self._client = MlflowClient(testbed.mlflow_uri)
        self.registry = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name)
        self.seq = 0

    def register(
        self,
        scale: float = 1.0,
        damage: Callable[[Path], object] | None = None,
        rows: Iterable[Row] | None = None,
    ) -> Version:
        """Register a new version, with intervals if it learns from received `rows`. `damage` damages its model file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.cbm"
            if rows is None:
                train(self._world.dataset, path, scale)
            else:
                train_with_intervals(self._world.dataset, path, rows)
            if damage:
                damage(path)
            run_id = self._run()
            digest = {DIGEST: model_digest(path.read_bytes())} if path.exists() else {}
            self._client.log_artifacts(run_id, folder, "native")
        source = f"runs:/{run_id}/native"
        return self.registry.register(run_id, source, {NATIVE: source, **digest})

    def log_artifact(self, version: Version, path: Path, folder: str) -> None:
        """Add a file to the artifacts of a version's run."""
        self._client.log_artifact(version.run_id, str(path), folder)

    def delete(self, number: int) -> None:
        """Delete a version with its aliases, as a person may do in MLflow."""
        self._client.delete_model_version(self._world.dataset.name, str(number))

    def set_champion(self, version: Version, seq: int) -> None:
        """Make a version the champion in the registry, without an event."""
        self.registry.set_tag(version.number, "seq", str(seq))
        self.registry.set_alias("champion", version.number)

    def announce(
        self, version: Version, seq: int, at: datetime | None = None, forged: Mapping[str, object] | None = None
    ) -> None:
        """Publish that a version was promoted, at a time or now. `forged` fields replace those of the event."""
        payload = ModelPromoted(
            model=self._world.dataset.name,
            version=version.number,
            run_id=version.run_id,
            seq=seq,
            previous=None,
            reason="test",
            native=version.tags[NATIVE],
            native_digest=version.tags.get(DIGEST),
            metrics=METRICS,
            causes=Causes(training="t", request="r", report=None, reason="test", batches=["b"]),
        )
        event = Event(f"{self._world.dataset.name}/promotion/{seq}", "trainer", at or utc_now(), payload)
        message = encode(topic(self._world.dataset.name, "models"), event)
        value = orjson.dumps({**orjson.loads(message.value), **(forged or {})})
        self._world.log.publish([replace(message, value=value)])

    def promote(self, scale: float = 1.0, damage: Callable[[Path], object] | None = None) -> Version:
        """Register a new version, damaged if `damage` is given, and promote it."""
        version = self.register(scale, damage)
        self.decide(version)
        return version

    def decide(self, version: Version) -> datetime:
        """Promote a version with the next sequence number. Returns the time in its event."""
        at = utc_now()
        self.seq += 1
        self.set_champion(version, self.seq)
        self.announce(version, self.seq, at)
        return at

    def prices(self, number: int, rows: Sequence[Values], level: float | None = None) -> list[float]:
        """The prices of rows by a version's model from the registry, at its own level of the market or at another."""
        version = self.registry.version(number)
        assert version is not None
        with tempfile.TemporaryDirectory() as folder:
            native = self.registry.download_native(version, Path(folder))
            model = CatBoostRegressor().load_model(str(native))
        return Predictor(self._world.dataset, model).prices(rows, None if level is None else repeat(level))

    def _run(self) -> str:
        name = self._world.dataset.name
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name)
        return str(self._client.create_run(experiment).info.run_id)
