"""Runs in MLflow: one for each training, with both models, the metrics and the pictures."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
from catboost import CatBoostRegressor
from mlflow.entities import Run, RunStatus
from mlflow.models import Model

import veleta
from veleta.adapters.mlflow import NATIVE_FILES, connect, registry_errors
from veleta.dataset import parse_dataset
from veleta.model_digest import model_digest
from veleta.ports import DIGEST, NATIVE
from veleta.pyfunc import BOOSTER, DATASET, example_frame, signature
from veleta_trainer.adapters.child_protocol import EXPLAIN, MODEL, RECIPE
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import FittedModel, LoggedRun

SOURCE, RECIPE_DIGEST = "source", "recipe_digest"
"""Tags of a run: the address of the model to register, and the recipe that was planned."""
MAX_NAMED_BATCHES = 100
"""The parameter `batches` of a run names each batch, up to this number."""


class MlflowRuns:
    """`Runs` in the experiment with the name of the dataset."""

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        self._experiment = experiment
        self._client = connect(tracking_uri)
        self._unfinished: tuple[str, str] | None = None

    def log(self, planned: Recipe, fitted: FittedModel) -> LoggedRun:
        recipe = fitted.recipe
        with registry_errors():
            mlflow.set_experiment(self._experiment)
            with self._start_run(planned) as run:
                batches = _batches(recipe)
                mlflow.log_params({**recipe.params, "batches": batches, "champion": recipe.champion})
                mlflow.log_metrics(fitted.metrics)
                mlflow.log_dict(recipe.model_dump(mode="json"), RECIPE)
                mlflow.log_artifacts(str(fitted.folder / EXPLAIN), EXPLAIN)
                native, digest, source = _log_models(recipe, fitted.folder)
                mlflow.set_tags({NATIVE: native, DIGEST: digest, SOURCE: source})
        self._unfinished = None
        return LoggedRun(run.info.run_id, source, native, digest, fitted.metrics, recipe)

    def get(self, run_id: str) -> LoggedRun:
        with registry_errors():
            return _logged_run(self._client.get_run(run_id))

    def find(self, planned: Recipe) -> LoggedRun | None:
        runs = self._search(planned, RunStatus.FINISHED)
        with registry_errors():
            return _logged_run(runs[0]) if runs else None

    def end_open(self, planned: Recipe) -> None:
        for run in self._search(planned, RunStatus.RUNNING):
            with registry_errors():
                self._client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))

    def _start_run(self, planned: Recipe) -> mlflow.ActiveRun:
        """A new run, or that of an earlier attempt of this process: a registry that cannot store must not fill up."""
        digest, run_id = self._unfinished or ("", None)
        tags = {
            "request_id": planned.request_id,
            "dataset_digest": planned.dataset_digest,
            RECIPE_DIGEST: planned.digest,
        }
        if digest != planned.digest:
            run_id = None
        run = mlflow.start_run(run_id=run_id, run_name=planned.request_id, tags=tags)
        self._unfinished = planned.digest, run.info.run_id
        return run

    def _search(self, planned: Recipe, status: int) -> list[Run]:
        """The runs of this recipe. A request may have runs of other deployments, which have its id too."""
        state = RunStatus.to_string(status)
        query = f"tags.{RECIPE_DIGEST} = '{planned.digest}' and attributes.status = '{state}'"
        with registry_errors():
            experiment = self._client.get_experiment_by_name(self._experiment)
            return list(self._client.search_runs([experiment.experiment_id], query)) if experiment else []


def _logged_run(run: Run) -> LoggedRun:
    run_id, tags = run.info.run_id, run.data.tags
    recipe = Recipe.model_validate(mlflow.artifacts.load_dict(f"runs:/{run_id}/{RECIPE}"))
    return LoggedRun(run_id, tags[SOURCE], tags[NATIVE], tags.get(DIGEST, ""), dict(run.data.metrics), recipe)


def _batches(recipe: Recipe) -> str:
    """The batches that a model is trained on, for a parameter of the run: its length is limited."""
    names = [f"{batch.epoch}/{batch.number}" for batch in recipe.batches]
    if len(names) > MAX_NAMED_BATCHES:
        return f"{len(names)} batches from {names[0]} to {names[-1]}"
    return ", ".join(names)


def _log_models(recipe: Recipe, folder: Path) -> tuple[str, str, str]:
    """Log both models: the address and SHA-256 of the native CatBoost model, the address of the model for raw rows."""
    dataset = parse_dataset(recipe.dataset_file)
    dataset_file = folder / "dataset.toml"
    dataset_file.write_text(recipe.dataset_file, encoding="utf-8")
    native, digest = _log_native(CatBoostRegressor().load_model(str(folder / MODEL)))
    model = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(veleta.__file__).parent / "served.py"),
        artifacts={BOOSTER: str(folder / MODEL), DATASET: str(dataset_file)},
        code_paths=[str(Path(veleta.__file__).parent)],
        signature=signature(dataset),
        input_example=example_frame(dataset),
    )
    return native, digest, model.model_uri


def _log_native(booster: CatBoostRegressor) -> tuple[str, str]:
    """Log the CatBoost model: its address, and the SHA-256 of its file, which is read before it is sent.

    CatBoost writes other bytes for each model that it loads. So this is what `mlflow.catboost.log_model` does, with a
    look at the file.
    """
    digests: list[str] = []

    def save_model(path: str, **options: Any) -> None:
        mlflow.catboost.save_model(path=path, **options)
        digests.extend(model_digest(file.read_bytes()) for file in Path(path).glob(NATIVE_FILES))

    flavor = SimpleNamespace(save_model=save_model)
    logged = Model.log(None, name=NATIVE, flavor=flavor, flavor_name="catboost", cb_model=booster)
    (digest,) = digests
    return logged.model_uri, digest
