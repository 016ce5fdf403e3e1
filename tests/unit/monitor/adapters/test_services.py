"""What the monitor reads from the topics and from the services, without a broker."""

import pytest

from veleta.errors import Stop
from veleta.settings import read_settings
from veleta_monitor.adapters.services import HttpReader
from veleta_monitor.server import command
from veleta_monitor.settings import MonitorSettings


def test_services_that_are_away_are_told_not_raised() -> None:
    """A service that does not answer has a health of its own, and inference's absence is the reason for no version."""
    voices = HttpReader({"loader": "http://127.0.0.1:1", "inference": "http://127.0.0.1:1"}).look()
    assert {name: health.trouble for name, health in voices.healths.items()} == {
        "loader": "nobody listens there",
        "inference": "nobody listens there",
    }
    assert (voices.served, voices.unserved) == (None, "inference does not answer: nobody listens there")


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with what every monitor needs."""
    monkeypatch.setenv("MYSQL_USER", "reader")
    monkeypatch.setenv("MYSQL_PASSWORD", "secret")
    return monkeypatch


def test_the_addresses_of_services_are_json(login: pytest.MonkeyPatch) -> None:
    """MONITOR_READYZ that is no JSON is refused with the variable's name, as every wrong setting."""
    login.setenv("MONITOR_READYZ", '{"loader": "http://loader:8092"}')
    assert read_settings(MonitorSettings).readyz == {"loader": "http://loader:8092"}
    login.setenv("MONITOR_READYZ", "loader")
    with pytest.raises(Stop, match="MONITOR_READYZ"):
        read_settings(MonitorSettings)


def test_the_server_is_told_everything_that_matters(login: pytest.MonkeyPatch) -> None:
    """Headless, silent towards its maker, no file watcher, no tracebacks, and the address from the settings."""
    login.setenv("MONITOR_PORT", "8777")
    told = command(read_settings(MonitorSettings))
    assert {
        "--server.address=127.0.0.1",
        "--server.port=8777",
        "--server.headless=true",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
    } <= set(told)
