"""`python -m veleta_mlflow HOST PORT FOLDER ALLOWED`: runs the MLflow server on a folder, which it creates if missing.

FOLDER is part of the URL of the store. A relative path avoids characters with a meaning in URLs. ALLOWED are the valid
values of the header Host, separated by commas.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def main() -> None:
    """Create the store, and replace this process by the server."""
    host, port, folder, allowed = sys.argv[1:]
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path / "mlflow.db")) as database:
        # With a write-ahead log, readers and the writer do not wait for each other. The file stores this mode.
        database.execute("PRAGMA journal_mode=WAL")
    options = {
        "host": host,
        "port": port,
        "workers": 1,
        "backend-store-uri": f"sqlite:///{path}/mlflow.db",
        "artifacts-destination": f"{path}/artifacts",
        "allowed-hosts": allowed,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    # Job execution would start four more processes, which Veleta does not use.
    switched_off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *arguments]
    os.execve(sys.executable, command, {**os.environ, **switched_off})  # noqa: S606 - our own command; no shell is wanted


if __name__ == "__main__":
    main()
