"""What is deleted of a version in MLflow's artifact store."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

from veleta.ports import NATIVE
from veleta_retention.adapters import versions
from veleta_retention.adapters.versions import MlflowArtifacts


class Client:
    """A registry with one version, whose run and two logged models have a file each in `locations`."""

    def __init__(self, **locations: Path) -> None:
        self._locations = locations
        for location in locations.values():
            location.mkdir(parents=True)
            (location / "file").touch()

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        tags = [ModelVersionTag(NATIVE, "models:/native")]  # type: ignore[no-untyped-call]  # MLflow has no types for it
        return ModelVersion(name, version, 0, source="models:/pyfunc", run_id="run", tags=tags)

    def get_logged_model(self, model_id: str) -> SimpleNamespace:
        return SimpleNamespace(artifact_location=str(self._locations[model_id]))

    def get_run(self, run_id: str) -> SimpleNamespace:
        return SimpleNamespace(info=SimpleNamespace(artifact_uri=str(self._locations[run_id])))


def delete(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete the artifacts of version 1."""
    monkeypatch.setattr(versions, "MlflowClient", lambda _uri: client)
    registry = SimpleNamespace(set_tag=lambda *_tag: None)
    monkeypatch.setattr(versions, "MlflowRegistry", lambda _uri, _model: registry)
    MlflowArtifacts("http://127.0.0.1", "real_estate").delete(1)


def test_no_empty_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each version it would stay for ever. A second deletion changes nothing."""
    models = tmp_path / "models"
    client = Client(
        run=tmp_path / "run/artifacts", pyfunc=models / "pyfunc/artifacts", native=models / "native/artifacts"
    )
    for _ in range(2):
        delete(client, monkeypatch)
        assert list(tmp_path.rglob("*")) == [models]


def test_a_folder_that_is_not_of_the_version_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Artifacts may be anywhere: only the folder of the run or the logged model itself is deleted with them."""
    client = Client(run=tmp_path / "all/artifacts", pyfunc=tmp_path / "pyfunc", native=tmp_path / "native/files")
    (tmp_path / "all/other").touch()
    delete(client, monkeypatch)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "all", tmp_path / "all/other", tmp_path / "native"]
