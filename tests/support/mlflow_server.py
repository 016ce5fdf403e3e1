"""MLflow's server alone, as a run and the containers start it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.testbed import free_port, http_status, wait_until
from veleta.users import MLFLOW_WRITERS, token_variable

TOKENS = {part: f"the-token-of-{part}" for part in MLFLOW_WRITERS}


@dataclass(frozen=True)
class MlflowServer:
    """A server that answers."""

    url: str
    home: Path
    pid: int


def server_environment(home: Path, tokens: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server process."""
    variables = {token_variable(part): token for part, token in tokens.items()}
    return {"PATH": os.environ["PATH"], "HOME": str(home), **variables}


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """A server with its data in `folder`, while the block runs. Its log is shown if the test fails."""
    port, home, log = free_port(), folder / "home", folder / "mlflow.log"
    home.mkdir()
    command = [sys.executable, "-m", "veleta_mlflow", "127.0.0.1", str(port), "data", f"127.0.0.1:{port}"]
    with log.open("wb") as output:
        environment = server_environment(home, TOKENS)
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or http_status(f"{url}/health") == 200, 90, "MLflow answers")
            yield MlflowServer(url, home, process.pid)
        finally:
            process.terminate()
            process.wait(30)
            print(f"--- mlflow\n{log.read_text()[-4000:]}")  # noqa: T201 - pytest shows it when the test fails
