"""Who may do what in Kafka: each user of the declaration, clients without a login, and clients with a wrong one."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    RebalanceInProgressError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata
from pydantic import SecretStr

from support.batches import publish_batch
from support.http import get
from support.listings import api_rows
from support.testbed import Process, Testbed, free_port, http_status, wait_until
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.kafka_clients import Admin, client_arguments
from veleta.adapters.offsets import read_offsets
from veleta.errors import Retry
from veleta.events.envelope import Message
from veleta.settings import KafkaSettings
from veleta.topics import declared_topics, topic
from veleta.users import KAFKA_USERS, OPERATOR

MAY_WRITE = {
    "poller": {"batches", "rows", "commands", "deadletter"},
    "loader": {"deadletter"},
    "drift": {"drift", "retrain", "levels", "commands", "deadletter"},
    "trainer": {"retrain", "training", "models", "commands", "deadletter"},
    "inference": {"deadletter"},
    "retention": set(),
    "monitor": {"commands"},
    OPERATOR: {"batches", "rows", "drift", "retrain", "training", "models", "levels", "commands"},
}
"""The operator writes commands, and again the record of a dead letter."""


@pytest.fixture(scope="module", autouse=True)
def batch(testbed: Testbed) -> None:
    """A batch, so that there are records to read."""
    publish_batch(testbed.log, testbed.dataset, 1, 0, api_rows(0, 10, 1))


@pytest.fixture
def anonymous(testbed: Testbed) -> Iterator[Any]:
    """An administrator's client without a login."""
    with closing(KafkaAdminClient(**client_arguments(testbed.anonymous, "test"))) as client:
        yield client


def is_refused(call: Callable[[], object]) -> bool:
    """Whether Kafka refuses a call. The library raises some refusals, and returns others by name or by class."""
    try:
        return "AuthorizationFailed" in str(call())
    except (AuthorizationError, UnknownTopicOrPartitionError):  # a topic that it may not describe is unknown to it
        return True
    except Retry as error:
        return "AuthorizationFailed" in str(error)


@pytest.mark.failure("F385")
@pytest.mark.parametrize("user", KAFKA_USERS)
def test_a_user_writes_only_its_own_topics(testbed: Testbed, user: str) -> None:
    """Each other topic refuses a record, and gets none."""
    dataset, log = testbed.dataset.name, KafkaLog(testbed.kafka_as(user), "test")
    names = [each.name for each in declared_topics(dataset)]
    before = {name: testbed.log.bounds(name) for name in names}
    written = {name for name in names if not is_refused(lambda name=name: log.publish([Message(name, "k", (), b"")]))}  # type: ignore[misc]  # mypy does not infer a lambda with a default
    log.close()
    assert written == {topic(dataset, name) for name in MAY_WRITE[user]}  # type: ignore[arg-type]  # a set of names
    assert {name for name in names if testbed.log.bounds(name) != before[name]} == written


@pytest.mark.failure("F385")
@pytest.mark.parametrize("user", KAFKA_USERS)
def test_a_user_changes_nothing_else(testbed: Testbed, user: str) -> None:
    """No topic, no setting, no right and no password; only retention deletes records, and only those of `rows`."""
    name, rows = topic(testbed.dataset.name, "drift"), TopicPartition(topic(testbed.dataset.name, "rows"), 0)
    with closing(KafkaAdminClient(**client_arguments(testbed.kafka_as(user), "test"))) as client:
        assert [number for number, change in enumerate(changes(client, name)) if not is_refused(change)] == []
        assert is_refused(lambda: client.delete_records({rows: 0})) == (user != "retention")


@pytest.mark.failure("F385")
def test_a_service_changes_no_offsets_of_another(testbed: Testbed) -> None:
    """Each service has one consumer group. The others may not join it."""
    dataset = testbed.dataset.name
    joined = joins(testbed.kafka_as("loader"), f"{dataset}.loader", topic(dataset, "batches"))
    assert joined
    for user, group in (("drift", "loader"), ("loader", "drift"), ("monitor", "trainer"), ("poller", "other")):
        assert not joins(testbed.kafka_as(user), f"{dataset}.{group}", topic(dataset, "batches"))


@pytest.mark.failure("F386")
def test_a_client_without_a_login_reads_and_describes(testbed: Testbed, anonymous: Any) -> None:
    """Topics with their records and settings, groups with their lag, and its own group as any tool has one."""
    dataset, log = testbed.dataset.name, KafkaLog(testbed.anonymous, "test")
    batches = topic(dataset, "batches")
    (_, end), *_ = log.bounds(batches).values()
    assert [*log.read(batches, 0, 0, end - 1)]
    log.close()
    resource = ConfigResource(ConfigResourceType.TOPIC, batches)
    assert anonymous.describe_configs([resource])["topic"][batches]["retention.ms"]["value"] == "-1"
    assert joins(testbed.anonymous, "console-consumer-1", batches)
    with closing(Admin(testbed.anonymous, "test")) as connection:
        assert read_offsets(connection, dataset).lags.keys() == {"loader", "drift", "trainer"}


@pytest.mark.failure("F386")
def test_a_client_without_a_login_changes_nothing(testbed: Testbed, anonymous: Any) -> None:
    """No record, topic, setting, right or password, and no offsets of a service."""
    dataset, log = testbed.dataset.name, KafkaLog(testbed.anonymous, "test")
    for each in declared_topics(dataset):
        with pytest.raises(Retry, match="AuthorizationFailed"):
            log.publish([Message(each.name, "k", (), b"")])
    log.close()
    batches, group = topic(dataset, "batches"), f"{dataset}.loader"
    offsets = {TopicPartition(batches, 0): OffsetAndMetadata(0, "", -1)}
    assert [number for number, change in enumerate(changes(anonymous, batches)) if not is_refused(change)] == []
    assert is_refused(lambda: anonymous.delete_records({TopicPartition(batches, 0): 0}))
    assert is_refused(lambda: anonymous.alter_group_offsets(group, offsets))
    assert is_refused(lambda: anonymous.delete_groups([group]))
    assert not joins(testbed.anonymous, group, batches)


@pytest.mark.failure("F387")
def test_a_service_names_a_wrong_password(testbed: Testbed) -> None:
    """On /readyz, as long as the password is wrong."""
    port = free_port()
    environment = testbed.environment("loader", "loader", port=port) | {"KAFKA_PASSWORD": "wrong"}
    process = Process("loader", port, environment, testbed.folder)
    process.start()
    try:
        wait_until(lambda: http_status(f"{process.url}/readyz") == 503, 60, "it answers")
        wait_until(lambda: "the login was refused" in str(get(f"{process.url}/readyz")[1]["waits_for"]))
    finally:
        process.stop()


@pytest.mark.failure("F387")
def test_each_call_with_a_wrong_password_is_a_retry(testbed: Testbed) -> None:
    """The reason is the refused login, not a time-out."""
    log = KafkaLog(testbed.kafka_as("loader").model_copy(update={"password": SecretStr("wrong")}), "test", 2)
    for call in (log.bounds, lambda name: log.check([name]), lambda name: log.publish([Message(name, "k", (), b"")])):
        with pytest.raises(Retry, match="the login was refused; make start sets the passwords again"):
            call(topic(testbed.dataset.name, "batches"))
    log.close()


@pytest.mark.failure("F387")
def test_a_missing_right_is_named(testbed: Testbed) -> None:
    """Not as a topic that does not exist."""
    log = KafkaLog(testbed.kafka_as("loader"), "test")
    with pytest.raises(Retry, match=r"a right is missing; make start grants the rights again: .*\.models"):
        log.bounds(topic(testbed.dataset.name, "models"))
    log.close()


@pytest.mark.failure("F388")
def test_a_right_that_is_not_declared_is_removed(fresh_testbed: Testbed) -> None:
    """By the next start, from the users of the declaration and from clients without a login."""
    loader = f"User:{fresh_testbed.prefix}loader"
    name = topic(fresh_testbed.dataset.name, "models")
    rights = [write(loader, name), write("User:ANONYMOUS", name)]
    with closing(Admin(fresh_testbed.kafka, "test")) as connection, connection.connected() as admin:
        before = rights_of(admin, loader)
        assert admin.create_acls(rights)["failed"] == []
        wait_until(lambda: rights_of(admin, loader) == before | {rights[0]})
        assert fresh_testbed.prepare().returncode == 0
        wait_until(lambda: rights_of(admin, loader) == before)
        wait_until(lambda: rights[1] not in rights_of(admin, "User:ANONYMOUS"))


def changes(client: Any, name: str) -> list[Callable[[], object]]:
    """Changes that only the administrator may make."""
    everything = ResourcePattern(ResourceType.CLUSTER, "kafka-cluster")
    of_topic = ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1"})
    of_broker = ConfigResource(ConfigResourceType.BROKER, "1", {"message.max.bytes": "1"})
    right = ACL("User:ANONYMOUS", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, everything)
    return [
        lambda: client.create_topics({f"{name}.new": {"num_partitions": 1, "replication_factor": 1}}),
        lambda: client.delete_topics([name]),
        lambda: client.alter_configs([of_topic], raise_on_unknown=False),
        lambda: client.alter_configs([of_broker], raise_on_unknown=False),
        lambda: client.create_acls([right]),
        lambda: client.alter_user_scram_credentials([new_password("admin")])["admin"] and "AuthorizationFailed",
    ]


def new_password(user: str) -> UserScramCredentialUpsertion:
    return UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, "mine")


def joins(kafka: KafkaSettings, group: str, name: str) -> bool:
    """Whether a client may consume as a member of a group, and commit an offset."""
    consumer = KafkaConsumer(**client_arguments(kafka, "test"), group_id=group, enable_auto_commit=False)

    def commits() -> bool:
        consumer.poll(timeout_ms=200)
        try:
            consumer.commit({TopicPartition(name, 0): OffsetAndMetadata(0, "", -1)})
        except (RebalanceInProgressError, CommitFailedError):  # it joins again when it has new metadata
            return False
        return True

    try:
        # The library may lose its second assignment. Without metadata the first one has no partitions.
        assert consumer.partitions_for_topic(name)
        consumer.subscribe([name])
        wait_until(lambda: consumer.poll(timeout_ms=200) or consumer.assignment(), what="it is a member")
        wait_until(commits)
    except GroupAuthorizationFailedError:
        return False
    finally:
        consumer.close(timeout_ms=1000)
    return True


def write(principal: str, name: str) -> ACL:
    pattern = ResourcePattern(ResourceType.TOPIC, name)
    return ACL(principal, "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, pattern)


def rights_of(admin: Any, principal: str) -> set[ACL]:
    resource = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    acls, _ = admin.describe_acls(ACLFilter(principal, None, ACLOperation.ANY, ACLPermissionType.ANY, resource))
    return set(acls)
