"""Every service while MySQL, Kafka and MLflow are frozen: they accept connections and do not answer."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from support.http import get
from support.proxy import Proxy
from support.testbed import Process, Testbed, free_port, http_status, wait_until

NEEDS = {
    "poller": {"kafka"},
    "loader": {"kafka", "mysql"},
    "drift": {"kafka", "mysql"},
    "trainer": {"kafka", "mysql", "mlflow"},
    "inference": {"kafka", "mysql", "mlflow"},
    "retention": {"mysql"},
}
SECONDS = 10
"""An outage is shown within this time."""
MARGIN = 2
"""For the requests of this test on a machine that is busy."""


@dataclass
class Services:
    """A process of each service, and the proxies through which they reach all parts."""

    processes: Mapping[str, Process]
    proxies: Mapping[str, Proxy]

    def shown(self, service: str) -> set[str]:
        """What /readyz shows as down."""
        body = get(f"{self.processes[service].url}/readyz")[1]
        return {*body["waits_for"], *body["warnings"]} & {"kafka", "mysql", "mlflow"}

    def all_show(self, expected: Mapping[str, set[str]]) -> Callable[[], bool]:
        return lambda: {service: self.shown(service) for service in self.processes} == expected


@pytest.fixture(scope="module")
def services(testbed: Testbed) -> Iterator[Services]:
    proxies = {
        "kafka": Proxy(_port(testbed.bootstrap), rewrite=True),
        "mysql": Proxy(testbed.mysql("admin").port),
        "mlflow": Proxy(_port(testbed.mlflow_uri), rewrite=True),
    }
    addresses = {
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{proxies['kafka'].port}",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{proxies['mlflow'].port}",
    }
    settings: dict[str, dict[str, Any]] = {
        "poller": {"api_url": "http://127.0.0.1:9", "group_number": 1, "inbox": testbed.folder / "inbox"},
        "trainer": {"work": testbed.folder / "work"},
    }
    with ExitStack() as stack:
        processes = {}
        for service in NEEDS:
            port, user = free_port(), None if service == "poller" else service
            environment = testbed.environment(service, user, port=port, **settings.get(service, {})) | addresses
            if user:
                environment["MYSQL_PORT"] = str(proxies["mysql"].port)
            processes[service] = Process(service, port, environment, testbed.folder)
            processes[service].start()
            stack.callback(processes[service].stop)
        for process in processes.values():
            wait_until(lambda url=process.url: http_status(f"{url}/livez") == 200, 60, f"{process.name} listens")  # type: ignore[misc]  # a default binds the loop's value
        yield Services(processes, proxies)
        for proxy in proxies.values():
            proxy.thaw()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.mark.failure("F223")
def test_every_service_shows_within_ten_seconds_what_is_frozen(services: Services) -> None:
    """On /readyz, which answers, as /livez and /metrics do. When all parts answer again, nothing is shown."""
    nothing: dict[str, set[str]] = {service: set() for service in NEEDS}
    wait_until(services.all_show(nothing), 60, "all services use all parts")
    for proxy in services.proxies.values():
        proxy.freeze()
    began = time.monotonic()
    wait_until(services.all_show(NEEDS), SECONDS + MARGIN, "all services show all outages")
    assert time.monotonic() - began < SECONDS + MARGIN
    for process in services.processes.values():
        assert [http_status(f"{process.url}/{path}") for path in ("livez", "metrics")] == [200, 200]
    for proxy in services.proxies.values():
        proxy.thaw()
    wait_until(services.all_show(nothing), 60, "all services use all parts again")
