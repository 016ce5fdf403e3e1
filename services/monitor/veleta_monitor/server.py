"""Runs Streamlit's server in this process, and a watchdog beside it."""

import contextlib
import runpy
import sys
import threading
import time
from pathlib import Path

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.probe import probe
from veleta.service.health import ServiceHealth
from veleta.service.logs import configure_logging
from veleta.service.watchdog import Watchdog
from veleta.settings import read_settings
from veleta_monitor.settings import MonitorSettings

PAGE = Path(__file__).parent / "page.py"
PROBE_SECONDS = 10.0
"""The pause between two probes of the server."""


def serve_page() -> None:
    """Check the settings and run the server, or exit with 1 and one clear line."""
    try:
        settings = read_settings(MonitorSettings)
        load_dataset(settings.dataset)
    except Stop as error:
        sys.exit(f"monitor: {error}")
    configure_logging("monitor")
    _watch(settings)
    sys.argv = ["streamlit", *arguments(settings)]
    runpy.run_module("streamlit", run_name="__main__")


def _watch(settings: MonitorSettings) -> None:
    """End this process if its server does not respond, or does not stop in time."""
    # uvloop, which other services install in the same environment, would get the signals instead of the watchdog.
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # so its import fails
    watchdog, health = Watchdog(), ServiceHealth("monitor", settings.liveness_seconds)
    watchdog.start()
    if settings.liveness_seconds:
        watchdog.watch(health.stuck)
        url = f"http://{settings.host}:{settings.port}/_stcore/health"
        threading.Thread(target=_probe_regularly, args=(url, health), daemon=True).start()


def _probe_regularly(url: str, health: ServiceHealth) -> None:
    while True:
        with contextlib.suppress(OSError):
            probe(url)
            health.heartbeat()
        time.sleep(PROBE_SECONDS)


def arguments(settings: MonitorSettings) -> list[str]:
    """The arguments of Streamlit, with each option that must not depend on the user's own Streamlit settings."""
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
    return ["run", str(PAGE), *(f"--{k}={v}" for k, v in options.items())]
