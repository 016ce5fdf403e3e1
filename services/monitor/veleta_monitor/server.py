"""Replaces this process by Streamlit's server, so that signals reach the server directly."""

import os
import sys
from pathlib import Path

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.settings import read_settings
from veleta_monitor.settings import MonitorSettings

PAGE = Path(__file__).parent / "page.py"


def serve_page() -> None:
    """Check the settings and start the server, or exit with 1 and one clear line."""
    try:
        settings = read_settings(MonitorSettings)
        load_dataset(settings.dataset)
    except Stop as error:
        sys.exit(f"monitor: {error}")
    os.execv(sys.executable, command(settings))  # noqa: S606 - a fixed command, without a shell


def command(settings: MonitorSettings) -> list[str]:
    """`streamlit run` with each option that must not depend on the user's own Streamlit settings."""
    options = {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": "false",  # it would show docstrings on the page
        "logger.hideWelcomeMessage": "true",
    }
    return [sys.executable, "-m", "streamlit", "run", str(PAGE), *(f"--{k}={v}" for k, v in options.items())]
