"""Becomes Streamlit's server on the page: in this very process, so that a signal reaches it."""

import os
import sys
from pathlib import Path

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.settings import read_settings
from veleta_monitor.settings import MonitorSettings

PAGE = Path(__file__).parent / "page.py"


def serve_page() -> None:
    """Check the settings and become the server, or exit 1 with one clear line."""
    try:
        settings = read_settings(MonitorSettings)
        load_dataset(settings.dataset)
    except Stop as error:
        sys.exit(f"monitor: {error}")
    os.execv(sys.executable, command(settings))  # noqa: S606 - our own command; no shell is wanted


def command(settings: MonitorSettings) -> list[str]:
    """`streamlit run` with every option that must not depend on the user's own Streamlit settings."""
    options = {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": "false",  # a docstring in the page would be shown on it
        "logger.hideWelcomeMessage": "true",
    }
    return [sys.executable, "-m", "streamlit", "run", str(PAGE), *(f"--{k}={v}" for k, v in options.items())]
