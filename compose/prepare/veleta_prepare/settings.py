"""What the job takes: an administrator's login, and the password that each service's user is to have."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.settings import SECRETS, KafkaSettings, MysqlSettings


class ServiceUsers(BaseSettings):
    """The passwords of the services' users, and of `reader`, who may read all tables."""

    model_config = SettingsConfigDict(env_prefix="MYSQL_", secrets_dir=SECRETS, frozen=True)
    loader_password: SecretStr = Field(description="password of the loader's user")
    drift_password: SecretStr = Field(description="password of drift's user")
    trainer_password: SecretStr = Field(description="password of the trainer's user")
    inference_password: SecretStr = Field(description="password of inference's user")
    retention_password: SecretStr = Field(description="password of retention's user, who alone may delete requests")
    reader_password: SecretStr = Field(
        description="password of the user who only reads: the monitor, notebooks, people"
    )


class PrepareSettings(BaseSettings):
    """The job's settings."""

    model_config = SettingsConfigDict(frozen=True)
    dataset: str = Field(
        "real_estate",
        validation_alias="DATASET",
        description="the dataset: a name in veleta/datasets, or the path of a TOML file",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    users: ServiceUsers = Field(default_factory=ServiceUsers)
