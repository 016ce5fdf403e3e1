"""Runs in MLflow: one for each training, with both models, the metrics and the pictures."""

import csv
import io
import json
import tempfile
from pathlib import Path

import mlflow
from mlflow.entities import Experiment, Run, RunStatus

from veleta.adapters.mlflow import connect, registry_errors
from veleta.ports import DIGEST, NATIVE
from veleta_trainer.adapters.child_protocol import (
    DATASET_FILE,
    EVALUATION,
    EXPLAIN,
    FIGURES,
    GATES_FILE,
    RECIPE,
    SAMPLE,
)
from veleta_trainer.adapters.model_logger import ModelLogger
from veleta_trainer.adapters.run_inputs import inputs
from veleta_trainer.adapters.run_view import VIEW, VIEW_TAG
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.evaluation import Figure
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import FittedModel, LoggedRun

SOURCE, RECIPE_DIGEST, GATES = "source", "recipe_digest", "gates"
"""Tags of a run: the address of the model to register, the recipe that was planned, and which gates were passed."""
EXPLANATION, DUE, DONE = "explanation", "due", "done"
"""The tag of a run with a sample to explain it with, and its values. A third one is why there is no explanation."""
MAX_NAMED_BATCHES = 100
"""The parameter `batches` of a run names each batch, up to this number."""


class MlflowRuns:
    """`Runs` in the experiment with the name of the dataset."""

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        self._tracking_uri = tracking_uri
        self._experiment = experiment
        self._client = connect(tracking_uri)
        self._unfinished: tuple[str, str] | None = None
        self._logger = ModelLogger(tracking_uri)

    def prepare_logging(self) -> None:
        self._logger.start()

    def log(self, planned: Recipe, fitted: FittedModel) -> LoggedRun:
        self._logger.start()
        try:
            with registry_errors():
                run = self._log(planned, fitted)
        finally:
            self._logger.stop()
        self._unfinished = None
        return run

    def _log(self, planned: Recipe, fitted: FittedModel) -> LoggedRun:
        recipe = fitted.recipe
        (fitted.folder / DATASET_FILE).write_text(recipe.dataset_file, encoding="utf-8")
        self._set_view(mlflow.set_experiment(self._experiment))
        with self._start_run(planned) as run:
            batches = _batches(recipe)
            mlflow.log_params({**recipe.params, "batches": batches, "champion": recipe.champion})
            mlflow.log_metrics(fitted.metrics)
            self._client.log_inputs(run.info.run_id, inputs(recipe, fitted.metrics))
            mlflow.log_dict(recipe.model_dump(mode="json"), RECIPE)
            # An earlier release may have fitted with an explanation, or without an evaluation.
            for artifacts in (EXPLAIN, EVALUATION):
                if (fitted.folder / artifacts).is_dir():
                    mlflow.log_artifacts(str(fitted.folder / artifacts), artifacts)
            if (sample := fitted.folder / SAMPLE).exists():
                mlflow.log_artifact(str(sample), EXPLAIN)
                mlflow.set_tag(EXPLANATION, DUE)
            models = self._logger.log(fitted.folder, run.info.run_id)
            tags = {NATIVE: models.native, DIGEST: models.native_digest, SOURCE: models.source}
            if fitted.gates:
                tags[GATES] = ", ".join(gate.outcome for gate in fitted.gates)
            mlflow.set_tags(tags)
        addresses = models.source, models.native, models.native_digest
        return LoggedRun(run.info.run_id, *addresses, fitted.metrics, recipe, fitted.gates)

    def stop_logging(self) -> None:
        self._logger.stop()

    def get(self, run_id: str) -> LoggedRun:
        with registry_errors():
            return _logged_run(self._client.get_run(run_id))

    def figures(self, run_id: str) -> list[Figure]:
        path = f"{EVALUATION}/{FIGURES}"
        with registry_errors():
            if path not in [each.path for each in self._client.list_artifacts(run_id, EVALUATION)]:
                return []
            text = mlflow.artifacts.load_text(f"runs:/{run_id}/{path}")
        return [
            Figure(row["model"], row["slice"], row["metric"], float(row["value"]), int(row["rows"]))
            for row in csv.DictReader(io.StringIO(text, newline=""))
        ]

    def find(self, planned: Recipe) -> LoggedRun | None:
        runs = self._search(planned, RunStatus.FINISHED)
        with registry_errors():
            return _logged_run(runs[0]) if runs else None

    def end_open(self, planned: Recipe) -> None:
        for run in self._search(planned, RunStatus.RUNNING):
            with registry_errors():
                self._client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))

    def to_explain(self) -> list[str]:
        runs = self._query(f"tags.{EXPLANATION} = '{DUE}'", RunStatus.FINISHED)
        return [run.info.run_id for run in sorted(runs, key=lambda run: run.info.start_time)]

    def download_sample(self, run_id: str, folder: Path) -> None:
        with registry_errors(), tempfile.TemporaryDirectory(dir=folder) as downloads:
            address = f"runs:/{run_id}/{EXPLAIN}/{SAMPLE}"
            Path(mlflow.artifacts.download_artifacts(address, dst_path=downloads)).rename(folder / SAMPLE)

    def log_explanation(self, run_id: str, folder: Path) -> None:
        with registry_errors():
            self._client.log_artifacts(run_id, str(folder), EXPLAIN)
            self._client.set_tag(run_id, EXPLANATION, DONE)

    def end_explanation(self, run_id: str, failure: str) -> None:
        with registry_errors():
            self._client.set_tag(run_id, EXPLANATION, f"failed: {failure}")

    def _set_view(self, experiment: Experiment) -> None:
        if experiment.tags.get(VIEW_TAG) != VIEW:
            self._client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, VIEW)

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
        return self._query(f"tags.{RECIPE_DIGEST} = '{planned.digest}'", status)

    def _query(self, condition: str, status: int) -> list[Run]:
        query = f"{condition} and attributes.status = '{RunStatus.to_string(status)}'"
        with registry_errors():
            experiment = self._client.get_experiment_by_name(self._experiment)
            return list(self._client.search_runs([experiment.experiment_id], query)) if experiment else []


def _logged_run(run: Run) -> LoggedRun:
    run_id, tags = run.info.run_id, run.data.tags
    recipe = Recipe.model_validate(mlflow.artifacts.load_dict(f"runs:/{run_id}/{RECIPE}"))
    addresses = tags[SOURCE], tags[NATIVE], tags.get(DIGEST, "")
    # A run of an earlier release has no gates.
    found = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{EVALUATION}/{GATES_FILE}")) if GATES in tags else []
    gates = tuple(Check(**gate) for gate in found)
    return LoggedRun(run_id, *addresses, dict(run.data.metrics), recipe, gates)


def _batches(recipe: Recipe) -> str:
    """The batches that a model is trained on, for a parameter of the run: its length is limited."""
    names = [f"{batch.epoch}/{batch.number}" for batch in recipe.batches]
    if len(names) > MAX_NAMED_BATCHES:
        return f"{len(names)} batches from {names[0]} to {names[-1]}"
    return ", ".join(names)
