"""The rights of the users of Kafka, as they follow from the declared topics."""

import pytest

from veleta.kafka_rights import ANONYMOUS, Right, declared_rights
from veleta.topics import topic
from veleta.users import KAFKA_USERS, OPERATOR

RIGHTS = declared_rights("cars")


def writers(name: str) -> set[str]:
    return {right.user for right in RIGHTS if (right.operation, right.name) == ("WRITE", f"cars.{name}")}


@pytest.mark.failure("F385")
def test_each_topic_is_written_by_its_service() -> None:
    """And by people: commands, and the record of a dead letter again."""
    assert writers("batches") == writers("rows") == {"poller", OPERATOR}
    assert writers("drift") == {"drift", OPERATOR}
    assert writers("retrain") == {"drift", "trainer", OPERATOR}
    assert writers("training") == writers("models") == {"trainer", OPERATOR}
    assert writers("commands") == {"poller", "drift", "trainer", "monitor", OPERATOR}
    assert writers("deadletter") == {"poller", "loader", "drift", "trainer", "inference"}


@pytest.mark.failure("F385")
def test_only_retention_deletes_and_nobody_changes_settings() -> None:
    """Retention deletes the records of `rows`."""
    assert {right for right in RIGHTS if right.operation not in ("READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS")} == {
        Right("retention", "DELETE", "TOPIC", topic("cars", "rows"))
    }


@pytest.mark.failure("F385")
def test_a_group_has_one_member() -> None:
    """The service whose offsets it has."""
    groups = {(right.user, right.name) for right in RIGHTS if (right.resource, right.operation) == ("GROUP", "READ")}
    assert groups - {(ANONYMOUS, "*"), (ANONYMOUS, "cars.")} == {
        (service, f"cars.{service}") for service in ("loader", "drift", "trainer")
    }


@pytest.mark.failure("F386")
def test_a_client_without_a_login_may_only_read() -> None:
    """It may have any group but those of the services, whose names begin with the dataset."""
    anonymous = {right for right in RIGHTS if right.user == ANONYMOUS}
    assert {right.operation for right in anonymous} == {"READ", "DESCRIBE", "DESCRIBE_CONFIGS"}
    assert [right for right in RIGHTS if right.denied] == [Right(ANONYMOUS, "READ", "GROUP", "cars.", True, True)]


def test_rights_are_those_of_declared_users() -> None:
    """Each user has some."""
    assert {right.user for right in RIGHTS} == {ANONYMOUS, *KAFKA_USERS}
