"""The settings of the monitor."""

from pydantic import Field, Json, SecretStr
from pydantic_settings import SettingsConfigDict

from veleta.api_keys import ApiKeys
from veleta.bounds import Password, Port, Seconds
from veleta.settings import SECRETS, KafkaSettings, MysqlSettings, ServiceSettings


class MonitorSettings(ServiceSettings):
    """Variables with the prefix MONITOR_."""

    model_config = SettingsConfigDict(env_prefix="MONITOR_", secrets_dir=SECRETS, frozen=True)
    port: Port = Field(8501, description="the port of the page and of its health check /_stcore/health")
    readyz: Json[dict[str, str]] = Field(
        "{}",  # type: ignore[arg-type]  # pydantic decodes the default as it does the variable
        description="JSON: the base URL of each service, as this process reaches it, for /readyz and /model",
    )
    password: Password = Field(
        "", repr=False, description="the password for the buttons; none: the page has no buttons"
    )
    api_key: SecretStr = Field(
        SecretStr(""), description="the monitor's own API key, which it sends to inference if keys are required"
    )
    api_keys: ApiKeys = Field(
        "none",
        repr=False,
        description="the API keys that inference accepts; none: every visitor may ask for prices, "
        "otherwise only who signed in",
    )
    inference_url: str = Field("", description="the URL of the prediction API, as browsers reach it")
    mlflow_url: str = Field("", description="the URL of MLflow, as browsers reach it")
    source_url: str = Field("", description="the URL of the data API, as browsers reach it")
    refresh: Seconds = Field(3.0, description="seconds between two refreshes of an open page")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
