"""MLflow's server: its store in SQLite, its artifacts, proxied, in files beside it."""

import sqlite3
from contextlib import closing

from veleta_local.addresses import HOST
from veleta_local.deployment import PYTHON, Deployment
from veleta_local.supervise import Program


def program(deployment: Deployment) -> Program:
    """One worker; paths are relative to the home, since the store is named by a URL."""
    port = deployment.ports["mlflow"]
    options = {
        "host": HOST,
        "port": port,
        "workers": 1,
        "backend-store-uri": "sqlite:///mlflow/mlflow.db",
        "artifacts-destination": "mlflow/artifacts",
        "allowed-hosts": f"localhost:{port},{HOST}:{port}",
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    # Job execution would start four more processes that nothing here uses.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return Program([str(PYTHON), "-m", "mlflow", "server", "--serve-artifacts", *given], environment)


def prepare(deployment: Deployment) -> None:
    """With a write-ahead log readers and the writer do not wait for each other; the file remembers it."""
    with closing(sqlite3.connect(deployment.folder("mlflow") / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
