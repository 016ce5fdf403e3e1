"""The MLflow server of a run."""

from veleta_local.addresses import HOST
from veleta_local.deployment import ROOT, Deployment
from veleta_local.supervise import Program


def program(deployment: Deployment) -> Program:
    """The server. Its folder is relative to the home, and its Python is reached by the link of `provision`."""
    port = deployment.ports["mlflow"]
    arguments = [HOST, str(port), "mlflow", f"localhost:{port},{HOST}:{port}"]
    command = [str(deployment.sockets / "venv/bin/python"), "-m", "veleta_mlflow", *arguments]
    return Program(command, deployment.environment_of_mlflow())


def provision(deployment: Deployment) -> None:
    """Create the folder, which only its owner can read, and a link to .venv in the folder with the short path.

    MLflow passes the path of its package to a configparser, in which % has a meaning.
    """
    deployment.folder("mlflow")
    link = deployment.sockets / "venv"
    link.unlink(missing_ok=True)
    link.symlink_to(ROOT / ".venv")
