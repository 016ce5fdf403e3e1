"""The downloads of Kafka and MariaDB."""

import os

import pytest

from veleta_local import downloads


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has no proxy."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def test_without_a_proxy_maven_gets_no_option() -> None:
    """Its own settings count."""
    assert downloads.proxy_options() == []


@pytest.mark.parametrize("url", ["http://user@proxy.example:3128/", "proxy.example:3128"])
def test_maven_uses_the_proxy_of_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not read these variables itself. Hosts of no_proxy are requested directly."""
    monkeypatch.setenv("HTTPS_PROXY", url)
    monkeypatch.setenv("no_proxy", "127.0.0.1, .intern.example")
    assert downloads.proxy_options() == [
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=3128",
        "-Dhttp.nonProxyHosts=127.0.0.1|*.127.0.0.1|intern.example|*.intern.example",
        "-Daether.connector.http.useSystemProperties=true",
    ]
