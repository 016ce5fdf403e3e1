"""The settings of the job: the administrators' logins, and the passwords of the users that it creates."""

from typing import Any

from pydantic import Field, SecretStr, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.settings import SECRETS, KafkaSettings, MysqlSettings
from veleta.users import KAFKA_USERS, USERS


class _MysqlPasswords(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MYSQL_", secrets_dir=SECRETS, frozen=True)


class _KafkaPasswords(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KAFKA_", secrets_dir=SECRETS, frozen=True)


_MYSQL_FIELDS: dict[str, Any] = {
    user.password_file.removeprefix("mysql_"): (
        SecretStr,
        Field(description=f"password of the MySQL user {user.name}, for {' and '.join(user.parts)}"),
    )
    for user in USERS
}
_KAFKA_FIELDS: dict[str, Any] = {
    f"{user}_password": (SecretStr, Field(description=f"password of the Kafka user {user}")) for user in KAFKA_USERS
}
MysqlUsers = create_model("MysqlUsers", __base__=_MysqlPasswords, __doc__="Passwords in MySQL.", **_MYSQL_FIELDS)
KafkaUsers = create_model("KafkaUsers", __base__=_KafkaPasswords, __doc__="Passwords in Kafka.", **_KAFKA_FIELDS)


class PrepareSettings(BaseSettings):
    """The settings of the job: where Kafka and MySQL are, and the passwords of the users that it creates."""

    model_config = SettingsConfigDict(frozen=True)
    dataset: str = Field(
        "real_estate",
        validation_alias="DATASET",
        description="the dataset: a name in veleta/datasets, or the path of a TOML file",
    )
    user_hosts: str = Field(
        "",
        validation_alias="MYSQL_USER_HOSTS",
        pattern=r"^[0-9A-Za-z_.%/-]*$",
        description="from where the users log in to MySQL, as in an account's name: 10.244.%; none: the job's network",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    users: _MysqlPasswords = Field(default_factory=MysqlUsers)
    kafka_users: _KafkaPasswords = Field(default_factory=KafkaUsers)

    @property
    def kafka_passwords(self) -> dict[str, SecretStr]:
        """The password of each user of Kafka."""
        return {user: getattr(self.kafka_users, f"{user}_password") for user in KAFKA_USERS}
