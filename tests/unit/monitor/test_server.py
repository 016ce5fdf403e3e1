"""The command that starts Streamlit."""

import pytest

from veleta.settings import read_settings
from veleta_monitor.server import command
from veleta_monitor.settings import MonitorSettings


def test_the_server_gets_all_required_options(environment: pytest.MonkeyPatch) -> None:
    """It has the configured address. It opens no browser, sends no usage data, shows no tracebacks."""
    environment.setenv("MONITOR_PORT", "8777")
    options = command(read_settings(MonitorSettings))
    assert {
        "--server.address=127.0.0.1",
        "--server.port=8777",
        "--server.headless=true",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
    } <= set(options)
