"""`python -m veleta_notebooks FOLDER` starts JupyterLab on the notebooks of FOLDER.

In a container the login token is in /run/secrets/jupyter_token. Elsewhere Jupyter generates one and prints it.
"""

import os
import sys
from pathlib import Path

from veleta.errors import Stop
from veleta.settings import SECRETS, read_settings
from veleta_notebooks.settings import NotebooksSettings


def main() -> None:
    """Replace this process by JupyterLab, or exit with 1 and one clear line."""
    try:
        settings = read_settings(NotebooksSettings)
    except Stop as error:
        sys.exit(f"notebooks: {error}")
    folder = Path(sys.argv[1]).resolve()
    options = {
        "ServerApp.ip": settings.host,
        "ServerApp.port": settings.port,
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
    os.execve(sys.executable, command, environment)  # noqa: S606 - a fixed command, without a shell


if __name__ == "__main__":
    main()
