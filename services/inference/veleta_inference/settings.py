"""What inference can be told."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, ServiceSettings


class InferenceSettings(ServiceSettings):
    """Variables that begin with INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="INFERENCE_", frozen=True)
    port: int = Field(8000, description="the port of /predict, /docs, /livez, /readyz and /metrics")
    workers: int = Field(1, gt=0, description="processes that share the port; bounds hold for each of them")
    body_limit: int = Field(1024 * 1024, gt=0, description="bytes that the body of a request may have")
    items_limit: int = Field(1_000, gt=0, description="items that one request may ask for")
    queue_limit: int = Field(1_000, gt=0, description="requests that may be under way; beyond them: 503")
    journal: Path = Field(description="the folder where requests are kept until MySQL has them")
    journal_sync: Literal["group", "none"] = Field(
        "group", description="group: requests survive a loss of power; none: a kill only, and answers come sooner"
    )
    journal_limit: int = Field(1024**3, gt=0, description="bytes that may wait for MySQL; beyond them: 503")
    api_keys: str = Field(
        "",
        pattern=r"^([0-9a-fA-F]{64}(,[0-9a-fA-F]{64})*)?$",
        description="SHA-256 of each key that may ask, hexadecimal, with commas; none: everybody may",
    )
    client_limit: int = Field(500, gt=0, description="requests that one client may have under way; beyond them: 429")
    body_seconds: float = Field(10.0, gt=0, description="seconds in which a body must have come; else: 408")
    explainers: int = Field(1, gt=0, description="processes that explain prices; each is started when it is needed")
    explain_seconds: float = Field(10.0, gt=0, description="seconds that an explanation may take; else: 503")
    reconcile_seconds: float = Field(30.0, gt=0, description="seconds between two looks at the registry's champion")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
