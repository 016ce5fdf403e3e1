"""Creates the users of Kafka with their passwords and their rights."""

import contextlib
from collections.abc import Mapping
from typing import Any

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from veleta.adapters.kafka_clients import Admin
from veleta.errors import Stop
from veleta.kafka_rights import ANONYMOUS, Right, declared_rights
from veleta.settings import KafkaSettings

_ANY_RESOURCE = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)


def create_kafka_users(kafka: KafkaSettings, dataset: str, passwords: Mapping[str, SecretStr], prefix: str) -> None:
    """Set the password of each user, and give each user its rights and no others. Names of users get the prefix.

    A right that is denied to clients without a login is never removed.

    Raises:
        Retry: Kafka is unavailable.
        Stop: Kafka refused a password or a right.
    """
    names = {user: f"{prefix}{user}" for user in passwords} | {ANONYMOUS: ANONYMOUS}
    declared = {_acl(right, names[right.user]) for right in declared_rights(dataset)}
    with contextlib.closing(Admin(kafka, "prepare")) as connection, connection.connected() as admin:
        _set_passwords(admin, {names[user]: password for user, password in passwords.items()})
        existing = {acl for name in names.values() for acl in _acls_of(admin, name)}
        if failed := admin.create_acls([*(declared - existing)])["failed"]:
            raise Stop(f"Kafka refused rights of its users: {failed[0].__name__}")
        if undeclared := [acl for acl in existing - declared if acl.permission_type is ACLPermissionType.ALLOW]:
            admin.delete_acls(undeclared)


def _set_passwords(admin: Any, passwords: Mapping[str, SecretStr]) -> None:
    answers = admin.alter_user_scram_credentials(
        [
            UserScramCredentialUpsertion(name, ScramMechanism.SCRAM_SHA_512, password.get_secret_value())
            for name, password in passwords.items()
        ]
    )
    if refused := {name: reason for name, reason in answers.items() if reason}:
        raise Stop(f"Kafka refused passwords of its users: {refused}")


def _acl(right: Right, name: str) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.prefix else ACLResourcePatternType.LITERAL
    return ACL(
        principal=f"User:{name}",
        host="*",
        operation=ACLOperation[right.operation],
        permission_type=ACLPermissionType.DENY if right.denied else ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[right.resource], right.name, pattern),
    )


def _acls_of(admin: Any, name: str) -> list[ACL]:
    everything = ACLFilter(f"User:{name}", None, ACLOperation.ANY, ACLPermissionType.ANY, _ANY_RESOURCE)
    acls: list[ACL] = admin.describe_acls(everything)[0]
    return acls
