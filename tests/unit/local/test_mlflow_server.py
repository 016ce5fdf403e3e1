"""The MLflow server of a run."""

import shutil
from pathlib import Path

from veleta_local import mlflow_server
from veleta_local.deployment import ROOT, Deployment
from veleta_local.files import private_folder


def test_the_path_of_its_python_has_no_special_character(tmp_path: Path) -> None:
    """Whatever the path of the checkout is. A second start finds the link of the first one."""
    deployment = Deployment(tmp_path / "100 %")
    private_folder(deployment.sockets)
    try:
        for _ in range(2):
            mlflow_server.provision(deployment)
        python = Path(mlflow_server.program(deployment).command[0])
        assert python.samefile(ROOT / ".venv/bin/python")
        assert python.is_relative_to(deployment.sockets)
    finally:
        shutil.rmtree(deployment.sockets)
