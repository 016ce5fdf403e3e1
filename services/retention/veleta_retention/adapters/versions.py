"""The versions of the model: their decisions in MySQL, their artifacts in MLflow."""

import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from veleta.adapters.mlflow import MlflowRegistry, none_if_not_found, registry_errors
from veleta.adapters.mysql import database_errors
from veleta.ports import ARTIFACTS, NATIVE
from veleta.tables import promotions
from veleta_retention.domain.kept_versions import Artifacts

MODELS = "models:/"
FOLDER = "artifacts"
"""The folder of the artifacts in that of their run or logged model."""
DELETED = "deleted by retention"
"""The value of the tag `artifacts`."""


class MysqlDecisions:
    """`DecisionTable`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def after(self, seq: int) -> list[tuple[int, int, str]]:
        query = sa.select(promotions.c.seq, promotions.c.version, promotions.c.decision)
        with database_errors(), self._engine.connect() as connection:
            rows = connection.execute(query.where(promotions.c.seq > seq).order_by(promotions.c.seq))
            return [(seq, version, decision) for seq, version, decision in rows]


class MlflowArtifacts:
    """`ModelArtifacts` of one registered model."""

    def __init__(self, tracking_uri: str, model: str) -> None:
        self._registry = MlflowRegistry(tracking_uri, model)
        self._model = model
        self._client = MlflowClient(tracking_uri)

    def state(self, version: int) -> Artifacts:
        found = self._version(version)
        if found is None:
            return "unknown"
        if ARTIFACTS in found.tags:
            return "deleted"
        return "aliased" if found.aliases else "present"

    def delete(self, version: int) -> None:
        found = self._version(version)
        if found is None:
            return
        models = {str(found.source), found.tags.get(NATIVE, "")}
        for model in sorted(models):
            if model.startswith(MODELS):
                self._delete_of_model(model.removeprefix(MODELS))
        self._delete_of_run(str(found.run_id))
        self._registry.set_tag(version, ARTIFACTS, DELETED)

    def _delete_of_model(self, model_id: str) -> None:
        """Nothing is left to delete if the logged model was deleted by hand."""
        with registry_errors(), none_if_not_found():
            _delete_folder(self._client.get_logged_model(model_id).artifact_location, model_id)

    def _delete_of_run(self, run_id: str) -> None:
        with registry_errors(), none_if_not_found():
            _delete_folder(self._client.get_run(run_id).info.artifact_uri, run_id)

    def _version(self, version: int) -> ModelVersion | None:
        with registry_errors(), none_if_not_found():
            return self._client.get_model_version(self._model, str(version))
        return None


def _delete_folder(uri: str | None, owner: str) -> None:
    """Delete the artifacts at `uri`, with the folder of the run or logged model `owner` if they are in it.

    MLflow's own store would keep an empty folder.
    """
    if uri:
        folder = uri.removesuffix(f"/{FOLDER}")
        own = folder if folder.endswith(f"/{owner}") else uri
        get_artifact_repository(own).delete_artifacts()  # type: ignore[no-untyped-call]  # MLflow has no types for it
