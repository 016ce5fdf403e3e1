"""The running system, as a notebook sees it: models of the registry, rows of the database."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import shap
import sqlalchemy as sa
from catboost import CatBoostRegressor
from mlflow import MlflowClient

from veleta.adapters.mlflow import MlflowRegistry
from veleta.adapters.mysql import mysql_engine
from veleta.dataset import Dataset, Values, load_dataset
from veleta.explanation import explanation, feature_frame, influence
from veleta.ports import Version
from veleta.settings import read_settings
from veleta.tables import dataset_tables
from veleta_notebooks.polling import waited
from veleta_notebooks.settings import NotebooksSettings

WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Model:
    """A registered version. `metrics` are those of its run: `mae` in the target's unit, `r2`, `holdout_rows`, ..."""

    number: int
    booster: CatBoostRegressor
    metrics: dict[str, float]

    def __str__(self) -> str:
        return f"version {self.number}"


class System:
    """What notebooks ask. Every method blocks, and raises Retry when the part that it asks is away."""

    def __init__(self, settings: NotebooksSettings | None = None) -> None:
        """Without `settings` those of the environment."""
        settings = settings or read_settings(NotebooksSettings)
        self.dataset: Dataset = load_dataset(settings.dataset)
        self._engine = mysql_engine(settings.mysql)
        self._registry = MlflowRegistry(settings.mlflow.tracking_uri, self.dataset.name)
        self._client = MlflowClient(settings.mlflow.tracking_uri)

    def champion(self) -> Model:
        """The version that is in production: the one that bears the alias `champion`.

        Raises:
            LookupError: none is promoted yet.
        """
        found = self._registry.alias("champion")
        if found is None:
            raise LookupError(f"no version of {self.dataset.name} is promoted yet: wait for the first training")
        return self._model(found)

    def version(self, number: int) -> Model:
        """A version by its number.

        Raises:
            LookupError: there is none; the message names those that there are.
        """
        found = self._registry.version(number)
        if found is None:
            raise LookupError(f"no version {number} of {self.dataset.name}; there are {self.versions()}")
        return self._model(found)

    def versions(self) -> list[int]:
        """The numbers of all versions, in order."""
        found = self._client.search_model_versions(f"name = '{self.dataset.name}'", max_results=1_000)
        return sorted(int(each.version) for each in found)

    def rows(self, most: int = 500) -> list[Values]:
        """Clean rows of the newest batch that is loaded, typed, `most` of them at most.

        Before the first batch, and for a moment between two epochs, there are none: they are waited for a while.

        Raises:
            LookupError: there are none yet.
        """
        rows = waited(lambda: self._rows(most), WAIT_SECONDS)
        if not rows:
            raise LookupError("no batch is loaded yet: wait for the first")
        return rows

    def _rows(self, most: int) -> list[Values]:
        clean = dataset_tables(self.dataset).clean
        newest = sa.select(clean.c.epoch, clean.c.number).order_by(clean.c.epoch.desc(), clean.c.number.desc())
        with self._engine.connect() as connection:
            batch = connection.execute(newest.limit(1)).first()
            if batch is None:
                return []
            of_batch = sa.and_(clean.c.epoch == batch.epoch, clean.c.number == batch.number)
            query = sa.select(clean).where(of_batch).order_by(clean.c.row_no).limit(most)
            return [dict(row) for row in connection.execute(query).mappings()]

    def example(self) -> list[Values]:
        """The dataset's example, as one row."""
        return [self.dataset.convert(self.dataset.example)[0]]

    def explain(self, model: Model, rows: list[Values]) -> shap.Explanation:
        """The SHAP values of typed rows (see `veleta.explanation`)."""
        return explanation(model.booster, self.dataset, feature_frame(self.dataset, rows))

    def influence(self, model: Model, rows: list[Values]) -> pd.DataFrame:
        """How much each feature moves the prices of these rows, the strongest first."""
        frame = feature_frame(self.dataset, rows)
        return influence(explanation(model.booster, self.dataset, frame), list(frame.columns))

    def _model(self, version: Version) -> Model:
        with tempfile.TemporaryDirectory() as folder:
            booster = CatBoostRegressor().load_model(str(self._registry.native(version, Path(folder))))
        metrics = self._client.get_run(version.run_id).data.metrics
        return Model(version.number, booster, dict(metrics))
