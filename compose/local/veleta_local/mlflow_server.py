"""MLflow's server on the run's home."""

from veleta_local.addresses import HOST
from veleta_local.deployment import PYTHON, Deployment
from veleta_local.supervise import Program


def program(deployment: Deployment) -> Program:
    """The folder is relative to the home."""
    port = deployment.ports["mlflow"]
    arguments = [HOST, str(port), "mlflow", f"localhost:{port},{HOST}:{port}"]
    return Program([str(PYTHON), "-m", "veleta_mlflow", *arguments], {})


def prepare(deployment: Deployment) -> None:
    """Make the folder, which only its owner may enter."""
    deployment.folder("mlflow")
