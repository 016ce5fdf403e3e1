"""What inference can be told."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, ServiceSettings


class InferenceSettings(ServiceSettings):
    """Variables that begin with INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="INFERENCE_", frozen=True)
    port: int = Field(8000, description="the port of /predict, /model, /livez, /readyz and /metrics")
    body_limit: int = Field(1024 * 1024, gt=0, description="bytes that the body of a request may have")
    items_limit: int = Field(1_000, gt=0, description="items that one request may ask for")
    queue_limit: int = Field(1_000, gt=0, description="requests that may wait to be written; beyond them: 503")
    group_rows: int = Field(500, gt=0, description="rows that one transaction takes together when so many wait")
    reconcile_seconds: float = Field(30.0, gt=0, description="seconds between two looks at the registry's champion")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
