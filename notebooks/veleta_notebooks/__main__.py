"""`python -m veleta_notebooks FOLDER`: JupyterLab on the notebooks of FOLDER.

NOTEBOOKS_HOST and NOTEBOOKS_PORT say where it listens. The token that it asks for is in /run/secrets/jupyter_token, or
in the variable JUPYTER_TOKEN.
"""

import os
import sys
from pathlib import Path

from veleta.settings import SECRETS


def main() -> None:
    """Become JupyterLab."""
    folder = Path(sys.argv[1]).resolve()
    options = {
        "ServerApp.ip": os.environ.get("NOTEBOOKS_HOST", "127.0.0.1"),
        "ServerApp.port": os.environ.get("NOTEBOOKS_PORT", "8888"),
        "ServerApp.root_dir": str(folder),
        "ServerApp.open_browser": "False",
        "ServerApp.port_retries": "0",
        "LabApp.extension_manager": "readonly",
        "LabApp.news_url": "None",
    }
    environment = dict(os.environ)
    if SECRETS and (SECRETS / "jupyter_token").exists():
        environment["JUPYTER_TOKEN"] = (SECRETS / "jupyter_token").read_text()
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own command; no shell is wanted


if __name__ == "__main__":
    main()
