"""Apache Kafka: one node in KRaft mode, reachable only from this machine."""

import base64
import uuid
from pathlib import Path

from veleta_local import checks, downloads, subprocesses
from veleta_local.addresses import HOST
from veleta_local.deployment import Deployment
from veleta_local.files import fresh_folder, write_private
from veleta_local.supervise import Program, base_environment

MORE_PORTS = ("kafka-controller", "kafka-services")
"""The ports of the broker in addition to its own, which is the one for tools without a login."""

# log.dirs is relative to the home, because commas and non-ASCII letters have other meanings in a properties file.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},SERVICES://{host}:{services},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port},SERVICES://{host}:{services}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SERVICES:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=SERVICES
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.services.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.services.scram-sha-512.sasl.jaas.config={scram} required;
listener.name.services.plain.sasl.jaas.config={plain} required {login};
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config={plain} required {login};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{admin}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller}
log.dirs={data}
log.retention.ms=-1
log.retention.check.interval.ms=60000
offsets.retention.minutes=5256000
auto.create.topics.enable=false
offsets.topic.num.partitions=5
offsets.topic.segment.bytes=10485760
metadata.log.segment.bytes=8388608
metadata.max.retention.bytes=33554432
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
    """The broker, which is also the controller."""
    return Program([*_java(), "kafka.Kafka", "supervisor/kafka.properties"], {})


def provision(deployment: Deployment) -> None:
    """Write the settings, and format the data folder if there is none."""
    data = deployment.home / "kafka"
    if not data.exists():
        with fresh_folder(data) as fresh:
            _format(deployment, _settings(deployment, fresh))
    _settings(deployment, data)


def _settings(deployment: Deployment, data: Path) -> Path:
    path, admin = deployment.folder("supervisor") / "kafka.properties", deployment.kafka_admin
    password = admin.password.get_secret_value()
    text = _PROPERTIES.format(
        host=HOST,
        port=deployment.ports["kafka"],
        services=deployment.ports["kafka-services"],
        controller=deployment.ports["kafka-controller"],
        data=data.relative_to(deployment.home),
        admin=admin.user,
        login=f'username="{admin.user}" password="{password}" user_{admin.user}="{password}"',
        scram="org.apache.kafka.common.security.scram.ScramLoginModule",
        plain="org.apache.kafka.common.security.plain.PlainLoginModule",
    )
    write_private(path, text)
    return path


def _format(deployment: Deployment, settings: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arguments = ["kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster}", f"--config={settings}"]
    failure = "Kafka's data folder could not be formatted"
    subprocesses.run([*_java(), *arguments], failure, folder=deployment.home, environment=base_environment())


def _java() -> list[str]:
    return [checks.java(), "-Xmx512m", "-cp", f"{downloads.folder()}/libs/*"]
