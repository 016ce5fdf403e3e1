"""The settings of retention."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.bounds import KeepRequestsDays, Port
from veleta.settings import MysqlSettings, ServiceSettings


class RetentionSettings(ServiceSettings):
    """Variables that begin with RETENTION_."""

    model_config = SettingsConfigDict(env_prefix="RETENTION_", frozen=True)
    port: Port = Field(8095, description="the port of /livez, /readyz and /metrics")
    keep_requests_days: KeepRequestsDays = Field(0, description="days that requests stay in MySQL; 0: no limit")
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
