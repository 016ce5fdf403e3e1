"""The child process that logs the models of a run: `python -m veleta_trainer.log_models TRACKING_URI`.

MLflow loads a model that it logs, and adds a folder to sys.path for it, which it never removes. So a process logs one
run. It reads the run from stdin after its imports, as a JSON list: a folder and the run's id. Without one it ends.
The folder has model.cbm and dataset.toml. The output is models.json: the fields of `LoggedModels`.
"""

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
from catboost import CatBoostRegressor
from mlflow.models import Model

import veleta
from veleta.adapters.mlflow import NATIVE_FILES, connect, registry_errors
from veleta.dataset import parse_dataset
from veleta.errors import Retry
from veleta.model_digest import model_digest
from veleta.ports import NATIVE
from veleta.pyfunc import BOOSTER, DATASET, example_frame, signature
from veleta_trainer.adapters.child_protocol import DATASET_FILE, MODEL, MODELS, UNAVAILABLE, LoggedModels

REQUIREMENTS = [f"{name}=={version(name)}" for name in ("catboost", "mlflow", "numpy", "pandas")]
"""What a model needs. Without this list MLflow starts a process for each model to find out."""


def main(folder: Path, tracking_uri: str, run_id: str) -> None:
    """Log the native CatBoost model and the model for raw rows. Raises Retry."""
    with registry_errors():
        run = connect(tracking_uri).get_run(run_id)
        mlflow.set_experiment(experiment_id=run.info.experiment_id)
        native, digest = _log_native(CatBoostRegressor().load_model(str(folder / MODEL)), run_id)
        models = LoggedModels(native, digest, _log_for_raw_rows(folder, run_id))
    (folder / MODELS).write_text(json.dumps(asdict(models)))


def _log_native(booster: CatBoostRegressor, run_id: str) -> tuple[str, str]:
    """Log the CatBoost model: its address, and the SHA-256 of its file, which is read before it is sent.

    CatBoost writes other bytes for each model that it loads. So this is what `mlflow.catboost.log_model` does, with a
    look at the file.
    """
    digests: list[str] = []

    def save_model(path: str, **options: Any) -> None:
        mlflow.catboost.save_model(path=path, **options)
        digests.extend(model_digest(file.read_bytes()) for file in Path(path).glob(NATIVE_FILES))

    flavor = SimpleNamespace(save_model=save_model)
    logged = Model.log(
        None,
        name=NATIVE,
        run_id=run_id,
        flavor=flavor,
        flavor_name="catboost",
        cb_model=booster,
        pip_requirements=REQUIREMENTS,
    )
    (digest,) = digests
    return logged.model_uri, digest


def _log_for_raw_rows(folder: Path, run_id: str) -> str:
    """Log the model that takes raw rows: its address."""
    dataset, package = parse_dataset((folder / DATASET_FILE).read_text(encoding="utf-8")), Path(veleta.__file__).parent
    logged = Model.log(
        None,
        name="model",
        run_id=run_id,
        flavor=mlflow.pyfunc,
        python_model=str(package / "served.py"),
        artifacts={BOOSTER: str(folder / MODEL), DATASET: str(folder / DATASET_FILE)},
        code_paths=[str(package)],
        signature=signature(dataset),
        input_example=example_frame(dataset),
        pip_requirements=REQUIREMENTS,
    )
    return str(logged.model_uri)


if __name__ == "__main__":
    try:
        if run := sys.stdin.read():
            main(Path(json.loads(run)[0]), sys.argv[1], json.loads(run)[1])
    except Retry as error:
        sys.stderr.write(str(error))
        sys.exit(UNAVAILABLE)
