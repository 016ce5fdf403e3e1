"""The settings of the monitor."""

import pytest

from veleta.errors import Stop
from veleta.settings import read_settings
from veleta_monitor.settings import MonitorSettings


def test_the_urls_of_services_are_json(environment: pytest.MonkeyPatch) -> None:
    """A MONITOR_READYZ that is not JSON is refused with the name of the variable."""
    environment.setenv("MONITOR_READYZ", '{"loader": "http://loader:8092"}')
    assert read_settings(MonitorSettings).readyz == {"loader": "http://loader:8092"}
    environment.setenv("MONITOR_READYZ", "loader")
    with pytest.raises(Stop, match="MONITOR_READYZ"):
        read_settings(MonitorSettings)
