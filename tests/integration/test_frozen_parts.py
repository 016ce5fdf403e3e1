"""Every service while MySQL, Kafka and MLflow are frozen, and while topics do not exist.

Frozen parts accept connections and do not answer.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaAdminClient

from support.http import get
from support.proxy import Proxy
from support.testbed import Process, Testbed, free_port, http_status, wait_until
from veleta.adapters.kafka_clients import client_arguments
from veleta.topics import TopicName, topic, topics_of

NEEDS = {
    "poller": {"kafka"},
    "loader": {"kafka", "mysql"},
    "drift": {"kafka", "mysql"},
    "trainer": {"kafka", "mysql", "mlflow"},
    "inference": {"kafka", "mysql", "mlflow"},
    "retention": {"kafka", "mysql"},
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
        """What /readyz shows as down; the process itself if it does not answer."""
        try:
            body = get(f"{self.processes[service].url}/readyz")[1]
        except OSError:
            return {"process"}
        return {*body["waits_for"], *body["warnings"]} & {"kafka", "mysql", "mlflow"}

    def reasons(self) -> dict[str, str]:
        """By service, why Kafka is down for it, as /readyz shows it."""
        bodies = {service: get(f"{process.url}/readyz")[1] for service, process in self.processes.items()}
        return {service: body["waits_for"].get("kafka", "") for service, body in bodies.items()}

    def log_lines(self) -> dict[str, int]:
        """By service, the lines of its log."""
        return {service: process.log.read_text().count("\n") for service, process in self.processes.items()}

    def all_shown(self) -> dict[str, set[str]]:
        """What each service shows as down."""
        return {service: self.shown(service) for service in self.processes}

    def all_show(self, expected: Mapping[str, set[str]]) -> Callable[[], bool]:
        return lambda: self.all_shown() == expected


@pytest.fixture(scope="module")
def services(testbed: Testbed) -> Iterator[Services]:
    proxies = {
        "kafka": Proxy(_port(testbed.kafka.bootstrap), rewrite=True),
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
        "retention": {"keep_epochs": 2},
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
    try:
        with suppress(AssertionError):  # the next line shows what a service does not show
            wait_until(services.all_show(NEEDS), SECONDS + MARGIN, "all services show all outages")
        assert services.all_shown() == NEEDS
        for process in services.processes.values():
            assert [http_status(f"{process.url}/{path}") for path in ("livez", "metrics")] == [200, 200]
    finally:
        for proxy in services.proxies.values():
            proxy.thaw()
    wait_until(services.all_show(nothing), 60, "all services use all parts again")


@pytest.mark.failure("F311", "F312", "F313")
@pytest.mark.parametrize("names", [("rows", "deadletter"), ("batches", "models", "commands", "training")])
def test_every_service_shows_within_ten_seconds_which_topic_was_deleted(
    services: Services, testbed: Testbed, names: tuple[TopicName, ...]
) -> None:
    """On /readyz, with few lines in its log. When the job has created the topic again, all go on by themselves."""
    nothing: dict[str, set[str]] = {service: set() for service in NEEDS}
    wait_until(services.all_show(nothing), 60, "all services use all parts")
    deleted = [topic(testbed.dataset.name, name) for name in names]
    uses = {service: set(topics_of(testbed.dataset.name, service)).intersection(deleted) for service in NEEDS}
    uses["retention"] = {topic(testbed.dataset.name, name) for name in ("batches", "rows")}.intersection(deleted)
    with closing(KafkaAdminClient(**client_arguments(testbed.kafka, "test"))) as admin:
        admin.delete_topics(deleted)

    def all_named() -> bool:
        reasons = services.reasons()
        return all(name in reasons[service] for service in NEEDS for name in sorted(uses[service])[:3])

    wait_until(all_named, SECONDS + MARGIN, "all services name the topics")
    assert all("make start creates" in reason for reason in services.reasons().values())
    before = services.log_lines()
    time.sleep(10)
    grown = {service: lines - before[service] for service, lines in services.log_lines().items()}
    assert max(grown.values()) < 20, grown
    assert testbed.prepare().returncode == 0
    drift = services.processes["drift"]  # it ends, and supervisor would start it again
    drift.run_until(services.all_show(nothing), 90, "all services use all topics again")
