"""The settings of inference."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from veleta.api_keys import ApiKeys
from veleta.bounds import Bytes, Count, Port, Seconds, StopDelay, Workers
from veleta.settings import SECRETS, KafkaSettings, MlflowSettings, MysqlSettings, ServiceSettings


class InferenceSettings(ServiceSettings):
    """Variables that begin with INFERENCE_."""

    model_config = SettingsConfigDict(env_prefix="INFERENCE_", secrets_dir=SECRETS, frozen=True)
    port: Port = Field(8000, description="the port of /predict, /docs, /livez, /readyz and /metrics")
    workers: Workers = Field(1, description="processes that share the port; each limit applies to one of them")
    body_limit: Bytes = Field(1024 * 1024, description="maximum bytes of a request's body")
    items_limit: Count = Field(1_000, description="maximum items of one request")
    queue_limit: Count = Field(1_000, description="maximum requests in flight; above it: 503")
    journal: Path = Field(description="the folder where requests are stored until MySQL has them")
    journal_sync: Literal["group", "none"] = Field(
        "group", description="group: requests survive a power failure; none: only a kill, and responses are faster"
    )
    journal_limit: Bytes = Field(1024**3, description="maximum bytes that are not yet in MySQL; above it: 503")
    api_keys: ApiKeys = Field(
        "none",
        repr=False,
        description="`name:sha256` of each valid API key, separated by commas; none: no key is required",
    )
    monitor_key: SecretStr | None = Field(None, description="the monitor's own key, valid if keys are required")
    demo_key: SecretStr | None = Field(None, description="the own key of `make demo`, valid if keys are required")
    client_limit: Count = Field(500, description="maximum requests in flight of one client; above it: 429")
    body_seconds: Seconds = Field(10.0, description="seconds in which a body must arrive; otherwise 408")
    strict: Literal["0", "1"] = Field(
        "0", description="1: values outside what the model has learnt are refused with 422; 0: warnings"
    )
    explainers: Workers = Field(1, description="processes that explain prices; started by the first explanation")
    explain_seconds: Seconds = Field(10.0, description="seconds that an explanation may take; otherwise 503")
    stop_delay: StopDelay = Field(
        0.0, description="seconds after SIGTERM with /readyz 503 in which requests are answered: for a load balancer"
    )
    reconcile_seconds: Seconds = Field(30.0, description="seconds between two checks of the registry's champion")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
