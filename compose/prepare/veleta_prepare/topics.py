"""Creates the declared topics, and verifies those that exist."""

import contextlib

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from veleta.adapters.kafka_clients import Admin
from veleta.errors import Stop
from veleta.topics import Topic, declared_topics


def create_topics(bootstrap: str, dataset: str) -> None:
    """Create the missing topics, and compare all topics with their declaration.

    Raises:
        Retry: Kafka is unavailable.
        Stop: topics differ. The message names each difference.
    """
    with contextlib.closing(Admin(bootstrap, "prepare")) as connection, connection.connected() as admin:
        _create_missing(admin, declared_topics(dataset))
        differences = [line for topic in declared_topics(dataset) for line in _differences(admin, topic)]
    if differences:
        raise Stop(f"topics differ from their declaration (nothing was changed): {'; '.join(differences)}")


def _create_missing(admin: KafkaAdminClient, topics: list[Topic]) -> None:
    existing = {t["name"] for t in admin.describe_topics()}
    missing = [t for t in topics if t.name not in existing]
    if missing:
        options = {
            t.name: {"num_partitions": t.partitions, "replication_factor": 1, "configs": t.config} for t in missing
        }
        admin.create_topics(options)
        admin.wait_for_topics(list(options))


def _differences(admin: KafkaAdminClient, topic: Topic) -> list[str]:
    partitions = len(admin.describe_topics([topic.name])[0]["partitions"])
    declared_config = {"partitions": str(topic.partitions), **topic.config}
    config = {"partitions": str(partitions), **_config(admin, topic)}
    return [f"{topic.name}: {k} is {config[k]}, not {v}" for k, v in declared_config.items() if config[k] != v]


def _config(admin: KafkaAdminClient, topic: Topic) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic.name)
    config = admin.describe_configs([resource], config_filter="all")["topic"][topic.name]
    return {key: str(config[key]["value"]) for key in topic.config}
