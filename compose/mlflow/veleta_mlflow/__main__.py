"""`python -m veleta_mlflow HOST PORT FOLDER ALLOWED`: runs the MLflow server on a folder, which it creates if missing.

FOLDER is part of the URL of the store. A relative path avoids characters with a meaning in URLs. ALLOWED are the valid
values of the header Host, separated by commas.
"""

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from veleta.errors import Stop
from veleta.service.uvicorn_protocol import BoundedProtocol
from veleta.settings import read_settings
from veleta_mlflow.access import RETENTION, TRAINER
from veleta_mlflow.guard import App, Guard
from veleta_mlflow.settings import MlflowServerSettings


def main() -> None:
    """Create the store, and serve it until a signal ends the process."""
    host, port, folder, allowed = sys.argv[1:]
    settings = read_settings(MlflowServerSettings)
    tokens = {TRAINER: settings.trainer_token, RETENTION: settings.retention_token}
    _create(Path(folder))
    app = _mlflow(folder, allowed)
    guard = Guard(app, {writer: token.get_secret_value() for writer, token in tokens.items()})
    for formatter in LOGGING_CONFIG["formatters"].values():
        formatter["fmt"] = f"%(asctime)s {formatter['fmt']}"
    # uvicorn raises the signal again when it has stopped. A normal exit closes the database, and no log of it is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # MLflow does nothing at its start and end but clean up after its assistant.
    uvicorn.run(guard, host=host, port=int(port), http=BoundedProtocol, lifespan="off")


def _create(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        # With a write-ahead log, readers and the writer do not wait for each other. The file stores this mode.
        database.execute("PRAGMA journal_mode=WAL")


def _mlflow(folder: str, allowed: str) -> App:
    """MLflow's application, as `mlflow server --serve-artifacts` configures it."""
    os.environ |= {
        "MLFLOW_SERVER_ALLOWED_HOSTS": allowed,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    # MLflow reads the variables above while it is imported.
    from mlflow.server import constants, fastapi_app, handlers  # noqa: PLC0415

    store, files = f"sqlite:///{folder}/mlflow.db", "mlflow-artifacts:/"
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: store,
        constants.REGISTRY_STORE_URI_ENV_VAR: store,
        constants.ARTIFACT_ROOT_ENV_VAR: files,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: f"{folder}/artifacts",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    handlers.initialize_backend_stores(store, store, files)
    app: App = fastapi_app.app
    return app


if __name__ == "__main__":
    try:
        main()
    except Stop as stop:
        sys.exit(f"mlflow: {stop}")
