"""Apache Kafka: one node in KRaft mode that only this machine can reach."""

import base64
import uuid
from pathlib import Path

from veleta_local import checks, commands, downloads
from veleta_local.addresses import HOST
from veleta_local.deployment import Deployment
from veleta_local.files import fresh_folder
from veleta_local.supervise import Program, base_environment

# log.dirs is relative to the home: a properties file has its own ideas of commas and of letters beyond ASCII.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller}
log.dirs={data}
log.retention.ms=-1
offsets.retention.minutes=5256000
auto.create.topics.enable=false
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def program(_: Deployment) -> Program:
    """The broker, controller included."""
    return Program([*_java(), "kafka.Kafka", "supervisor/kafka.properties"], {})


def prepare(deployment: Deployment) -> None:
    """Write the settings; format the data folder when there is none."""
    data = deployment.home / "kafka"
    if not data.exists():
        with fresh_folder(data) as fresh:
            _format(deployment, _settings(deployment, fresh))
    _settings(deployment, data)


def _settings(deployment: Deployment, data: Path) -> Path:
    path = deployment.folder("supervisor") / "kafka.properties"
    ports = {"port": deployment.ports["kafka"], "controller": deployment.ports["kafka-controller"]}
    path.write_text(_PROPERTIES.format(host=HOST, data=data.relative_to(deployment.home), **ports))
    return path


def _format(deployment: Deployment, settings: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arguments = ["kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster}", f"--config={settings}"]
    trouble = "Kafka's folder could not be formatted"
    commands.run([*_java(), *arguments], trouble, folder=deployment.home, environment=base_environment())


def _java() -> list[str]:
    return [checks.java(), "-Xmx512m", "-cp", f"{downloads.folder()}/libs/*"]
