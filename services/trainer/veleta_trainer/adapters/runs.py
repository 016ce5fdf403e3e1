"""Runs in MLflow: one for each training, with both models, the metrics and the pictures."""

from pathlib import Path

import mlflow
from catboost import CatBoostRegressor
from mlflow import MlflowClient
from mlflow.entities import Run, RunStatus

import veleta
from veleta.adapters.mlflow import registry_errors
from veleta.dataset import parse_dataset
from veleta.ports import NATIVE
from veleta.pyfunc import BOOSTER, DATASET, example_frame, signature
from veleta_trainer.adapters.child_protocol import EXPLAIN, MODEL, RECIPE
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import FittedModel, LoggedRun

SOURCE = "source"
MAX_NAMED_BATCHES = 100
"""The parameter `batches` of a run names each batch, up to this number."""


class MlflowRuns:
    """`Runs` in the experiment with the name of the dataset."""

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        mlflow.set_tracking_uri(tracking_uri)
        self._experiment = experiment
        self._client = MlflowClient(tracking_uri)

    def log(self, fitted: FittedModel) -> LoggedRun:
        recipe = fitted.recipe
        with registry_errors():
            mlflow.set_experiment(self._experiment)
            tags = {"request_id": recipe.request_id, "dataset_digest": recipe.dataset_digest}
            batches = _batches(recipe)
            with mlflow.start_run(run_name=recipe.request_id, tags=tags) as run:
                mlflow.log_params({**recipe.params, "batches": batches, "champion": recipe.champion})
                mlflow.log_metrics(fitted.metrics)
                mlflow.log_dict(recipe.model_dump(mode="json"), RECIPE)
                mlflow.log_artifacts(str(fitted.folder / EXPLAIN), EXPLAIN)
                native, source = _log_models(recipe, fitted.folder)
                mlflow.set_tags({NATIVE: native, SOURCE: source})
            return LoggedRun(run.info.run_id, source, native, fitted.metrics, recipe)

    def get(self, run_id: str) -> LoggedRun:
        with registry_errors():
            return _logged_run(self._client.get_run(run_id))

    def find(self, request_id: str) -> LoggedRun | None:
        runs = self._search(f"tags.request_id = '{request_id}' and attributes.status = 'FINISHED'")
        with registry_errors():
            return _logged_run(runs[0]) if runs else None

    def end_open(self) -> None:
        for run in self._search("attributes.status = 'RUNNING'"):
            with registry_errors():
                self._client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))

    def _search(self, query: str) -> list[Run]:
        with registry_errors():
            experiment = self._client.get_experiment_by_name(self._experiment)
            return list(self._client.search_runs([experiment.experiment_id], query)) if experiment else []


def _logged_run(run: Run) -> LoggedRun:
    run_id, tags = run.info.run_id, run.data.tags
    recipe = Recipe.model_validate(mlflow.artifacts.load_dict(f"runs:/{run_id}/{RECIPE}"))
    return LoggedRun(run_id, tags[SOURCE], tags[NATIVE], dict(run.data.metrics), recipe)


def _batches(recipe: Recipe) -> str:
    """The batches that a model is trained on, for a parameter of the run: its length is limited."""
    names = [f"{batch.epoch}/{batch.number}" for batch in recipe.batches]
    if len(names) > MAX_NAMED_BATCHES:
        return f"{len(names)} batches from {names[0]} to {names[-1]}"
    return ", ".join(names)


def _log_models(recipe: Recipe, folder: Path) -> tuple[str, str]:
    """Log both models: the addresses of the native CatBoost model and of the model for raw rows."""
    dataset = parse_dataset(recipe.dataset_file)
    dataset_file = folder / "dataset.toml"
    dataset_file.write_text(recipe.dataset_file, encoding="utf-8")
    native = mlflow.catboost.log_model(CatBoostRegressor().load_model(str(folder / MODEL)), name=NATIVE)
    model = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(veleta.__file__).parent / "served.py"),
        artifacts={BOOSTER: str(folder / MODEL), DATASET: str(dataset_file)},
        code_paths=[str(Path(veleta.__file__).parent)],
        signature=signature(dataset),
        input_example=example_frame(dataset),
    )
    return native.model_uri, model.model_uri
