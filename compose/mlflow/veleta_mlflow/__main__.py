"""`python -m veleta_mlflow HOST PORT FOLDER ALLOWED`: becomes MLflow's server on a folder (made if it is missing).

FOLDER may be relative, as the store is named by a URL, in which other characters than these have meanings of their
own. ALLOWED are the values of the header Host that are answered, with commas.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def main() -> None:
    """Prepare the store and become the server."""
    host, port, folder, allowed = sys.argv[1:]
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path / "mlflow.db")) as database:
        # With a write-ahead log readers and the writer do not wait for each other; the file remembers it.
        database.execute("PRAGMA journal_mode=WAL")
    options = {
        "host": host,
        "port": port,
        "workers": 1,
        "backend-store-uri": f"sqlite:///{path}/mlflow.db",
        "artifacts-destination": f"{path}/artifacts",
        "allowed-hosts": allowed,
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    # Job execution would start four more processes that nothing here uses.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *given]
    os.execve(sys.executable, command, {**os.environ, **quiet})  # noqa: S606 - our own command; no shell is wanted


if __name__ == "__main__":
    main()
