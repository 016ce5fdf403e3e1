"""The settings of the loader."""

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.bounds import Port
from veleta.settings import KafkaSettings, MysqlSettings, ServiceSettings


class LoaderSettings(ServiceSettings):
    """Variables that begin with LOADER_."""

    model_config = SettingsConfigDict(env_prefix="LOADER_", frozen=True)
    port: Port = Field(8092, description="the port of /livez, /readyz and /metrics")
    on_new_epoch: Literal["clear", "keep"] = Field(
        "clear", description="whether the rows of the old epoch are deleted before the first row of a new one"
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
