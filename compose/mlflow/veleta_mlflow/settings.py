"""The settings of MLflow's server: the tokens of those who write."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.settings import SECRETS


class MlflowServerSettings(BaseSettings):
    """The token of each part that writes."""

    model_config = SettingsConfigDict(secrets_dir=SECRETS, frozen=True)
    trainer_token: SecretStr = Field(
        min_length=16,
        validation_alias="MLFLOW_TRAINER_TOKEN",
        description="the token with which the trainer, and people, write to MLflow",
    )
    retention_token: SecretStr = Field(
        min_length=16,
        validation_alias="MLFLOW_RETENTION_TOKEN",
        description="the token with which retention deletes the files of models",
    )
