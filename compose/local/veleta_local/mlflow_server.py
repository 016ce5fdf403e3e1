"""The MLflow server of a run."""

from veleta_local.addresses import HOST
from veleta_local.deployment import PYTHON, Deployment
from veleta_local.supervise import Program


def program(deployment: Deployment) -> Program:
    """The server. Its folder is relative to the home."""
    port = deployment.ports["mlflow"]
    arguments = [HOST, str(port), "mlflow", f"localhost:{port},{HOST}:{port}"]
    return Program([str(PYTHON), "-m", "veleta_mlflow", *arguments], {})


def provision(deployment: Deployment) -> None:
    """Create the folder, which only its owner can read."""
    deployment.folder("mlflow")
