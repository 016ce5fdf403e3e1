"""The settings of drift."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.bounds import Port, Seconds
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, ServiceSettings


class DriftSettings(ServiceSettings):
    """Variables that begin with DRIFT_."""

    model_config = SettingsConfigDict(env_prefix="DRIFT_", frozen=True)
    port: Port = Field(8093, description="the port of /livez, /readyz and /metrics")
    idle_limit: Seconds = Field(
        60.0, description="seconds without progress while batches wait; then drift exits, so that it is restarted"
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
