"""Runs Streamlit's server in this process, behind a check of each request's origin, and a watchdog beside it."""

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn.config
from starlette.middleware import Middleware
from streamlit.starlette import App

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.probe import probe
from veleta.service.asgi import OriginGuard
from veleta.service.health import ServiceHealth
from veleta.service.logs import configure_logging
from veleta.service.origins import OriginPolicy
from veleta.service.watchdog import Watchdog
from veleta.settings import read_settings
from veleta_monitor.report_page import report_route
from veleta_monitor.settings import MonitorSettings

PAGE = Path(__file__).parent / "page.py"
PROBE_SECONDS = 10.0
"""The pause between two probes of the server."""


def serve_page() -> None:
    """Check the settings and run the server, or exit with 1 and one clear line."""
    try:
        settings = read_settings(MonitorSettings)
        dataset = load_dataset(settings.dataset)
    except Stop as error:
        sys.exit(f"monitor: {error}")
    configure_logging("monitor")
    _watch(settings)
    # uvicorn raises the signal again when it has stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # Streamlit passes no protocol to uvicorn, which then takes this one.
    uvicorn.config.HTTP_PROTOCOLS["auto"] = "veleta.service.uvicorn_protocol:BoundedProtocol"
    policy = OriginPolicy([settings.host, *settings.hosts.split(",")], "MONITOR_HOSTS")
    middleware = [Middleware(OriginGuard, policy=policy)]
    App(PAGE, routes=[report_route(settings, dataset)], middleware=middleware).run(config=options(settings))


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


def options(settings: MonitorSettings) -> dict[str, Any]:
    """The options of Streamlit that must not depend on the user's own Streamlit settings."""
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.enableCORS": True,  # pages of other origins read nothing, and open no WebSocket
        "server.corsAllowedOrigins": [],
        "server.enableXsrfProtection": True,
        "server.enableAgentApi": False,  # it lets programs press the buttons
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": False,  # it would show docstrings on the page
        "logger.hideWelcomeMessage": True,
    }
