"""Creates the declared topics, and verifies those that exist."""

import contextlib
from collections.abc import Collection

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from veleta.adapters.kafka_clients import Admin
from veleta.errors import Stop
from veleta.settings import KafkaSettings
from veleta.topics import Topic, declared_topics

COPIES = -1
"""The broker's own default.replication.factor."""


def create_topics(kafka: KafkaSettings, dataset: str) -> None:
    """Create the missing topics, and compare all topics with their declaration.

    Raises:
        Retry: Kafka is unavailable.
        Stop: topics differ. The message names each difference.
    """
    topics = declared_topics(dataset)
    with contextlib.closing(Admin(kafka, "prepare")) as connection, connection.connected() as admin:
        _create(admin, _missing(admin, topics))
        differences = [line for topic in topics for line in _differences(admin, topic)]
        if not differences:
            _adjust(admin, topics)
    if differences:
        raise Stop(f"topics differ from their declaration (nothing was changed): {'; '.join(differences)}")


def _missing(admin: KafkaAdminClient, topics: list[Topic]) -> list[Topic]:
    existing = {t["name"] for t in admin.describe_topics()}
    return [t for t in topics if t.name not in existing]


def _create(admin: KafkaAdminClient, topics: list[Topic]) -> None:
    options = {
        t.name: {"num_partitions": t.partitions, "replication_factor": COPIES, "configs": t.config | t.adjustable}
        for t in topics
    }
    if options:
        admin.create_topics(options)
        admin.wait_for_topics(list(options))


def _adjust(admin: KafkaAdminClient, topics: list[Topic]) -> None:
    """Set the adjustable settings of topics that an earlier version created."""
    changes = [
        ConfigResource(ConfigResourceType.TOPIC, t.name, t.adjustable)
        for t in topics
        if _config(admin, t, t.adjustable) != t.adjustable
    ]
    if changes:
        admin.alter_configs(changes)


def _differences(admin: KafkaAdminClient, topic: Topic) -> list[str]:
    partitions = len(admin.describe_topics([topic.name])[0]["partitions"])
    declared_config = {"partitions": str(topic.partitions), **topic.config}
    config = {"partitions": str(partitions), **_config(admin, topic, topic.config)}
    return [f"{topic.name}: {k} is {config[k]}, not {v}" for k, v in declared_config.items() if config[k] != v]


def _config(admin: KafkaAdminClient, topic: Topic, names: Collection[str]) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic.name)
    config = admin.describe_configs([resource], config_filter="all")["topic"][topic.name]
    return {key: str(config[key]["value"]) for key in names}
