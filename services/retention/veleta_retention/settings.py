"""The settings of retention."""

from pydantic import Field
from pydantic.config import JsonDict
from pydantic_settings import SettingsConfigDict

from veleta.bounds import KeepCount, KeepRequestsDays, Port
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, ServiceSettings

STORED: JsonDict = {"default": "the value in PIPELINE.limits; without one 0"}


class RetentionSettings(ServiceSettings):
    """Variables that begin with RETENTION_. An empty one counts as missing."""

    model_config = SettingsConfigDict(env_prefix="RETENTION_", frozen=True, env_ignore_empty=True)
    port: Port = Field(8095, description="the port of /livez, /readyz and /metrics")
    keep_requests_days: KeepRequestsDays = Field(0, description="days that requests stay in MySQL; 0: no limit")
    keep_epochs: KeepCount | None = Field(
        None, description="the newest epochs whose rows are kept; 0: all", json_schema_extra=STORED
    )
    keep_batches_days: KeepRequestsDays = Field(
        0, description="days that batches of earlier epochs keep their rows; 0: no limit"
    )
    keep_versions: KeepCount | None = Field(
        None,
        description="the newest rejected or replaced versions whose artifacts are kept; 0: all",
        json_schema_extra=STORED,
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
