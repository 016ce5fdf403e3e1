"""What the monitor can be told."""

from pydantic import Field, Json
from pydantic_settings import SettingsConfigDict

from veleta.settings import KafkaSettings, MysqlSettings, ServiceSettings


class MonitorSettings(ServiceSettings):
    """Variables that begin with MONITOR_."""

    model_config = SettingsConfigDict(env_prefix="MONITOR_", frozen=True)
    port: int = Field(8501, description="the port of the page, and of its health at /_stcore/health")
    readyz: Json[dict[str, str]] = Field(
        "{}",  # type: ignore[arg-type]  # pydantic decodes the default as it does the variable
        description="JSON: service to its base URL, as this process reaches it; /readyz and /model are asked there",
    )
    inference_url: str = Field("", description="the address of the prediction API, as people's browsers reach it")
    mlflow_url: str = Field("", description="the address of MLflow, as people's browsers reach it")
    source_url: str = Field("", description="the address of the data API, as people's browsers reach it")
    refresh: float = Field(3.0, gt=0, description="seconds between two looks at the loop while a page is open")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
