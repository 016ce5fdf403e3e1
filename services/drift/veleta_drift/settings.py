"""The settings of drift."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.bounds import Engine, Port, Seconds
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, ServiceSettings, SparkSettings


class DriftSettings(ServiceSettings):
    """Variables that begin with DRIFT_."""

    model_config = SettingsConfigDict(env_prefix="DRIFT_", frozen=True)
    port: Port = Field(8093, description="the port of /livez, /readyz and /metrics")
    engine: Engine = Field(
        "local", validation_alias="ENGINE", description="what fits models and measures batches: this machine, or Spark"
    )
    idle_limit: Seconds = Field(
        60.0, description="seconds without progress while batches wait; then drift exits, so that it is restarted"
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    spark: SparkSettings = Field(default_factory=SparkSettings)
