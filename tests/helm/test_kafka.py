"""The settings of the chart veleta-kafka in a real broker, which Strimzi would write in this form."""

import base64
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from pydantic import SecretStr

from support.helm import Helm
from support.testbed import free_port, kafka_login, wait_until
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.kafka_clients import Admin, client_arguments
from veleta.errors import Retry
from veleta.settings import KafkaSettings
from veleta.topics import declared_topics, topic
from veleta.users import KAFKA_ADMIN, KAFKA_USERS
from veleta_local import checks, downloads
from veleta_prepare.kafka_users import create_kafka_users
from veleta_prepare.topics import create_topics

PASSWORD = "not-the-one-of-a-service"  # noqa: S105 - of a broker that ends with the test


def properties(chart: dict[str, Any], port: int, internal: int, controller: int, folder: Path) -> str:
    """What Strimzi makes of the resource: the listener's settings with its name before them, then `config`."""
    (listener,) = chart["listeners"]
    name = f"{listener['name']}-{listener['port']}"
    login = listener["authentication"]["listenerConfig"]
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"{name}://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}",
        "listener.security.protocol.map": f"{name}:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "sasl.enabled.mechanisms": "",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(f"User:{user}" for user in ("ANONYMOUS", *chart["authorization"]["superUsers"])),
        "config.providers": "strimzienv",
        "config.providers.strimzienv.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        "log.dirs": folder / "data",
        **{f"listener.name.{name}.{key}": value for key, value in login.items()},
        **{key: str(value).lower() for key, value in chart["config"].items()},
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


@pytest.fixture(scope="module")
def bootstrap(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker with the settings of the chart."""
    downloads.ensure(lambda _line: None)
    folder, port = tmp_path_factory.mktemp("kafka"), free_port()
    kafka = helm.resources("veleta-kafka", {"secret": "passwords", "replicas": 1})["Kafka", "veleta"]["spec"]["kafka"]
    (variable,) = kafka["template"]["kafkaContainer"]["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "passwords", "key": "kafka_password"}
    settings = folder / "kafka.properties"
    settings.write_text(properties(kafka, port, free_port(), free_port(), folder))
    java = [checks.java(), "-Xmx512m", "-cp", f"{downloads.folder()}/libs/*"]
    environment = {variable["name"]: PASSWORD}
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    options = ["format", "--standalone", f"--cluster-id={cluster}", f"--config={settings}"]
    command = [*java, "kafka.tools.StorageTool", *options]
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    with (folder / "log").open("wb") as log:
        broker = subprocess.Popen([*java, "kafka.Kafka", settings], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(kafka_login(f"127.0.0.1:{port}", KAFKA_ADMIN, PASSWORD)), what="Kafka")
        yield f"127.0.0.1:{port}"
    finally:
        broker.kill()
        broker.wait()


def _answers(settings: KafkaSettings) -> bool:
    try:
        with closing(Admin(settings, "test", 2.0)) as connection, connection.connected() as admin:
            admin.describe_topics()
    except Retry:
        return False
    return True


def test_the_job_and_the_services_log_in(bootstrap: str) -> None:
    """The administrator with the password of the Secret, a service with the one that the job gave it."""
    admin = kafka_login(bootstrap, KAFKA_ADMIN, PASSWORD)
    create_topics(admin, "houses")
    create_kafka_users(admin, "houses", dict.fromkeys(KAFKA_USERS, SecretStr("of-a-service")), "")
    rows = topic("houses", "rows")
    bounds = KafkaLog(kafka_login(bootstrap, "drift", "of-a-service"), "test").bounds(rows)
    assert list(bounds.values()) == [(0, 0)]
    with closing(KafkaAdminClient(**client_arguments(admin, "test"))) as client:
        described = {each["name"]: each for each in client.describe_topics()}
    assert {each.name for each in declared_topics("houses")} <= described.keys()
    assert {len(part["replica_nodes"]) for part in described[rows]["partitions"]} == {1}


@pytest.mark.parametrize(("user", "password"), [(KAFKA_ADMIN, "wrong"), ("drift", "wrong"), ("nobody", PASSWORD)])
def test_others_do_not(bootstrap: str, user: str, password: str) -> None:
    """Nor does a client without a login, because there is no listener for it."""
    assert not _answers(kafka_login(bootstrap, user, password))
    assert not _answers(kafka_login(bootstrap))
