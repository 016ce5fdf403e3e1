"""`python -m veleta_notebooks FOLDER` starts JupyterLab on the notebooks of FOLDER.

In a container the login token is in /run/secrets/jupyter_token. Elsewhere it is generated, and printed with the
address.
"""

import os
import secrets
import signal
import sys
from pathlib import Path

from jupyterlab.labapp import LabApp

from veleta.errors import Stop
from veleta.settings import SECRETS, read_settings
from veleta_notebooks.saving import without_outputs
from veleta_notebooks.settings import NotebooksSettings


def main() -> None:
    """Run JupyterLab until Ctrl-C or SIGTERM, or exit with 1 and one clear line."""
    try:
        settings = read_settings(NotebooksSettings)
    except Stop as error:
        sys.exit(f"notebooks: {error}")
    token, address = _token(), f"http://{settings.host}:{settings.port}/lab"
    server = LabApp.initialize_server([f"--{name}={value}" for name, value in _options(settings, token).items()])
    server.contents_manager.register_pre_save_hook(without_outputs)
    line = f"JupyterLab  {address}{'' if _token_file() else f'?token={token}'}  (Ctrl-C stops it)"
    server.io_loop.add_callback(print, line, flush=True)  # after the callback that listens on the port
    signal.signal(signal.SIGINT, lambda *_: server.stop(from_signal=True))  # Jupyter's own handler asks back
    server.start()


def _options(settings: NotebooksSettings, token: str) -> dict[str, object]:
    return {
        "IdentityProvider.token": token,
        "ServerApp.ip": settings.host,
        "ServerApp.port": settings.port,
        "ServerApp.root_dir": Path(sys.argv[1]).resolve(),
        "ServerApp.open_browser": False,
        "ServerApp.port_retries": 0,
        "ServerApp.allow_root": os.geteuid() == 0,
        "ServerApp.log_level": "ERROR",
        "LabApp.log_level": "ERROR",
        "LabApp.extension_manager": "readonly",
        "LabApp.news_url": None,
    }


def _token_file() -> Path | None:
    path = SECRETS / "jupyter_token" if SECRETS else None
    return path if path and path.exists() else None


def _token() -> str:
    path = _token_file()
    return path.read_text().strip() if path else secrets.token_urlsafe(24)


if __name__ == "__main__":
    main()
