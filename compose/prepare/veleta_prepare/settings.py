"""The settings of the job: the administrator's login, and the passwords of the users that it creates."""

from typing import Any

from pydantic import Field, SecretStr, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.settings import SECRETS, KafkaSettings, MysqlSettings
from veleta.users import USERS


class _Passwords(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MYSQL_", secrets_dir=SECRETS, frozen=True)


_FIELDS: dict[str, Any] = {
    user.password_file.removeprefix("mysql_"): (
        SecretStr,
        Field(description=f"password of the MySQL user {user.name}, for {' and '.join(user.parts)}"),
    )
    for user in USERS
}
ServiceUsers = create_model("ServiceUsers", __base__=_Passwords, __doc__="The passwords of the users.", **_FIELDS)


class PrepareSettings(BaseSettings):
    """The settings of the job: where Kafka and MySQL are, and the passwords of the users that it creates."""

    model_config = SettingsConfigDict(frozen=True)
    dataset: str = Field(
        "real_estate",
        validation_alias="DATASET",
        description="the dataset: a name in veleta/datasets, or the path of a TOML file",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    users: _Passwords = Field(default_factory=ServiceUsers)
