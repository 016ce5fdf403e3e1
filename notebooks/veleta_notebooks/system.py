"""Access to the running system for notebooks: models in the registry and rows in the database."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import shap
import sqlalchemy as sa
from catboost import CatBoostRegressor
from mlflow import MlflowClient

from veleta.adapters.mlflow import MlflowRegistry
from veleta.adapters.mysql import database_errors, mysql_engine
from veleta.dataset import Dataset, Values, load_dataset
from veleta.explanation import explanation, feature_frame, influence
from veleta.ports import Version
from veleta.settings import read_settings
from veleta.tables import dataset_tables
from veleta_notebooks.polling import poll
from veleta_notebooks.settings import NotebooksSettings

ROWS_TIMEOUT = 60.0
"""Seconds that `System.rows` waits at most for the first batch."""


@dataclass(frozen=True)
class ModelVersion:
    """A registered version. `metrics` are those of its run: `mae` in the target's unit, `r2`, `holdout_rows`, ..."""

    number: int
    booster: CatBoostRegressor
    metrics: dict[str, float]

    def __str__(self) -> str:
        return f"version {self.number}"


class System:
    """The running system. Every method blocks, and raises Retry if MySQL or MLflow is unavailable."""

    def __init__(self, settings: NotebooksSettings | None = None) -> None:
        """The default settings are those of the environment."""
        settings = settings or read_settings(NotebooksSettings)
        self.dataset: Dataset = load_dataset(settings.dataset)
        self._engine = mysql_engine(settings.mysql)
        self._registry = MlflowRegistry(settings.mlflow.tracking_uri, self.dataset.name)
        self._client = MlflowClient(settings.mlflow.tracking_uri)

    def champion(self) -> ModelVersion:
        """The version in production, which has the alias `champion`.

        Raises:
            LookupError: no version is promoted yet.
        """
        version = self._registry.alias("champion")
        if version is None:
            raise LookupError(f"no version of {self.dataset.name} is promoted yet: wait for the first training")
        return self._model(version)

    def version(self, number: int) -> ModelVersion:
        """A version by its number.

        Raises:
            LookupError: it does not exist. The message lists the versions that do.
        """
        version = self._registry.version(number)
        if version is None:
            raise LookupError(f"no version {number} of {self.dataset.name}; the versions are {self.versions()}")
        return self._model(version)

    def versions(self) -> list[int]:
        """The numbers of all versions, ascending."""
        versions = self._client.search_model_versions(f"name = '{self.dataset.name}'", max_results=1_000)
        return sorted(int(version.version) for version in versions)

    def rows(self, limit: int = 500) -> list[Values]:
        """The first `limit` clean rows of the newest loaded batch, typed.

        Before the first batch, and briefly between two epochs, there are none. Then it waits up to ROWS_TIMEOUT.

        Raises:
            LookupError: there are still none.
        """
        rows = poll(lambda: self._rows(limit), ROWS_TIMEOUT)
        if not rows:
            raise LookupError("no batch is loaded yet: wait for the first one")
        return rows

    def _rows(self, limit: int) -> list[Values]:
        clean = dataset_tables(self.dataset).clean
        newest = sa.select(clean.c.epoch, clean.c.number).order_by(clean.c.epoch.desc(), clean.c.number.desc())
        with database_errors(), self._engine.connect() as connection:
            batch = connection.execute(newest.limit(1)).first()
            if batch is None:
                return []
            of_batch = sa.and_(clean.c.epoch == batch.epoch, clean.c.number == batch.number)
            query = sa.select(clean).where(of_batch).order_by(clean.c.row_no).limit(limit)
            return [dict(row) for row in connection.execute(query).mappings()]

    def example(self) -> list[Values]:
        """The dataset's example row."""
        return [self.dataset.convert(self.dataset.example)[0]]

    def explain(self, model: ModelVersion, rows: list[Values]) -> shap.Explanation:
        """What each feature adds to the prices of typed rows; see `veleta.explanation`."""
        return explanation(model.booster, self.dataset, feature_frame(self.dataset, rows))

    def influence(self, model: ModelVersion, rows: list[Values]) -> pd.DataFrame:
        """The mean influence of each feature on the prices of these rows, the strongest first."""
        return influence(self.explain(model, rows), list(model.booster.feature_names_))

    def _model(self, version: Version) -> ModelVersion:
        with tempfile.TemporaryDirectory() as folder:
            booster = CatBoostRegressor().load_model(str(self._registry.download_native(version, Path(folder))))
        metrics = self._client.get_run(version.run_id).data.metrics
        return ModelVersion(version.number, booster, dict(metrics))
