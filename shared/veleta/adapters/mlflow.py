"""The registry in MLflow. It requires only mlflow-skinny, so that inference stays small."""

import contextlib
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from pathlib import Path

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
from mlflow.utils.rest_utils import http_request

from veleta.errors import Reject, Retry
from veleta.events.catalogue import MODEL_ADDRESS
from veleta.model_digest import check_digest
from veleta.ports import ARTIFACTS, CHAMPION, DIGEST, NATIVE, Version
from veleta.reference import REFERENCE_FILE, Reference
from veleta.settings import MlflowSettings
from veleta.threads import call_with_time_out
from veleta.timeouts import CHECK_SECONDS, DOWNLOAD_SECONDS, MLFLOW_SECONDS

NOT_FOUND = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's error codes for a model, a version or an alias that does not exist."""
CHECK_ENDPOINT = "/api/2.0/mlflow/registered-models/search?max_results=1"
REFUSALS = frozenset(range(400, 500)) - {401, 408, 425, 429, 499}
"""HTTP statuses for which a retry would not help: 4xx, without those that ask to come back later.

401 is among these: a wrong token is a fault of the deployment, and no training may fail because of it.
"""
DOWNLOAD_PAUSES = (1.0, 2.0)
"""Seconds between the attempts to download a file that the registry does not return although it answers."""
UNREADABLE = "the model's file cannot be read"
NATIVE_FILES = "*.cb*"
"""The CatBoost model among the files of its folder."""
RECIPE, DATASET_FILE = "recipe.json", "dataset_file"
"""The artifact of a run with its recipe, and the key of the dataset file in it."""


@contextlib.contextmanager
def registry_errors() -> Iterator[None]:
    """Translate errors of the registry to Retry. A refusal (see REFUSALS) passes."""
    try:
        yield
    except (MlflowException, requests.RequestException, OSError) as error:
        if _is_refusal(error):
            raise
        raise Retry("mlflow", error) from error


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, MlflowException):
        return error.get_http_status_code() in REFUSALS  # type: ignore[no-untyped-call]  # MLflow has no types for it
    response = error.response if isinstance(error, requests.HTTPError) else None
    return response is not None and response.status_code in REFUSALS


def use_token(settings: MlflowSettings) -> None:
    """Let MLflow's client send the token, which it reads from the environment only."""
    if settings.tracking_token:
        os.environ["MLFLOW_TRACKING_TOKEN"] = settings.tracking_token.get_secret_value()


def connect(tracking_uri: str) -> MlflowClient:
    """A client of the server, and the settings of MLflow's functions for it."""
    # MLflow's own values (8 attempts of 120 s each) would block a step for a quarter of an hour.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(MLFLOW_SECONDS))
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    mlflow.set_tracking_uri(tracking_uri)
    return MlflowClient(tracking_uri)


class MlflowRegistry:
    """`Registry` for one registered model."""

    def __init__(self, tracking_uri: str, model: str) -> None:
        self._tracking_uri = tracking_uri
        self._model = model
        self._client = connect(tracking_uri)

    def check(self) -> None:
        with registry_errors():
            server = get_default_host_creds(self._tracking_uri)  # type: ignore[no-untyped-call]  # no types
            answer = http_request(server, CHECK_ENDPOINT, "GET", max_retries=0, timeout=CHECK_SECONDS)  # type: ignore[no-untyped-call]  # no types
        if answer.status_code != HTTPStatus.OK:
            raise Retry("mlflow", f"the server answers {answer.status_code}: {answer.text}")

    def register(self, run_id: str, source: str, tags: Mapping[str, str]) -> Version:
        with registry_errors():
            self._create_model()
            version = self._version_of(run_id) or self._create_version(run_id, source, tags)
        return _version(version)

    def version(self, number: int) -> Version | None:
        with registry_errors(), none_if_not_found():
            return _version(self._client.get_model_version(self._model, str(number)))
        return None

    def alias(self, alias: str) -> Version | None:
        with registry_errors(), none_if_not_found():
            return _version(self._client.get_model_version_by_alias(self._model, alias))
        return None

    def set_alias(self, alias: str, number: int) -> None:
        with registry_errors():
            self._client.set_registered_model_alias(self._model, alias, str(number))

    def record_champion(self, version: Version) -> None:
        with registry_errors():
            self._client.set_registered_model_tag(self._model, CHAMPION, json.dumps(asdict(version)))

    def recorded_champion(self) -> Version | None:
        with registry_errors(), none_if_not_found():
            record = self._client.get_registered_model(self._model).tags.get(CHAMPION)
            return Version(**json.loads(record)) if record else None
        return None

    def set_tag(self, number: int, key: str, value: str) -> None:
        with registry_errors():
            self._client.set_model_version_tag(self._model, str(number), key, value)

    def describe(self, version: Version, text: str) -> None:
        with registry_errors():
            self._client.update_model_version(self._model, str(version.number), text)
            with none_if_not_found():
                self._client.set_tag(version.run_id, MLFLOW_RUN_NOTE, text)

    def best(self, metric: str) -> tuple[int, float] | None:
        order = [f"metrics.{metric} DESC", "attributes.start_time ASC"]
        with registry_errors():
            experiment = self._client.get_experiment_by_name(self._model)
            runs = self._client.search_runs([experiment.experiment_id], order_by=order) if experiment else []
            for run in runs:
                if metric in run.data.metrics and (version := self._version_of(run.info.run_id)):
                    return int(version.version), run.data.metrics[metric]
        return None

    def set_stage(self, number: int, stage: str) -> None:
        with registry_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow advises aliases, which are set too
            self._client.transition_model_version_stage(self._model, str(number), stage, archive_existing_versions=True)

    def download_native(self, version: Version, folder: Path) -> Path:
        if ARTIFACTS in version.tags:
            detail = f"the artifacts of version {version.number} are {version.tags[ARTIFACTS]}"
            raise Reject("the version has no native model", detail)
        if NATIVE not in version.tags:
            raise Reject("the version has no native model", f"{self._model} {version.number} lacks the tag {NATIVE}")
        files = sorted(self._download(version.tags[NATIVE], folder).rglob(NATIVE_FILES))
        if not files:
            raise Reject("the version has no native model", f"no .cbm file in {version.tags[NATIVE]}")
        if expected := version.tags.get(DIGEST):
            check_digest(files[0].read_bytes(), expected)
        return files[0]

    def _download(self, address: str, folder: Path) -> Path:
        """The folder of a model. A file that the registry does not return, although it answers, cannot be read."""
        if not re.fullmatch(MODEL_ADDRESS, address):
            raise Reject("the version has no native model", f"{address!r} is no address in the registry")
        pauses = iter(DOWNLOAD_PAUSES)
        while True:
            try:
                return call_with_time_out(partial(_fetch, address, folder), DOWNLOAD_SECONDS)
            except (MlflowException, requests.RequestException) as refusal:
                raise Reject(UNREADABLE, f"{address}: {refusal}") from refusal
            except TimeoutError as error:
                self.alias(CHAMPION)
                raise Reject(UNREADABLE, f"{address}: it is not complete after {DOWNLOAD_SECONDS:g} s") from error
            except Retry as error:
                self.alias(CHAMPION)
                if (pause := next(pauses, None)) is None:
                    raise Reject(UNREADABLE, f"{address}: {error}") from error
                time.sleep(pause)

    def dataset_file(self, version: Version) -> str | None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self._download(f"runs:/{version.run_id}/{RECIPE}", Path(folder))
                recipe: dict[str, str] = json.loads(path.read_text())
            except (Reject, ValueError):
                return None
        return recipe.get(DATASET_FILE)

    def reference(self, version: Version) -> Reference | None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                return Reference.read(self._download(f"runs:/{version.run_id}/{REFERENCE_FILE}", Path(folder)))
            except (Reject, ValueError):
                return None

    def _version_of(self, run_id: str) -> ModelVersion | None:
        versions = self._client.search_model_versions(f"name = '{self._model}' and run_id = '{run_id}'")
        return versions[0] if versions else None

    def _create_model(self) -> None:
        try:
            self._client.create_registered_model(self._model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _create_version(self, run_id: str, source: str, tags: Mapping[str, str]) -> ModelVersion:
        model_id = source.removeprefix("models:/") if source.startswith("models:/") else None
        return self._client.create_model_version(self._model, source, run_id, tags=dict(tags), model_id=model_id)


def _fetch(address: str, folder: Path) -> Path:
    with registry_errors():
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(folder)))


@contextlib.contextmanager
def none_if_not_found() -> Iterator[None]:
    """End the block if it asks for something that does not exist."""
    try:
        yield
    except MlflowException as error:
        if error.error_code not in NOT_FOUND:
            raise


def _version(version: ModelVersion) -> Version:
    return Version(int(version.version), str(version.run_id), dict(version.tags))
