"""What poller can be told."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.settings import KafkaSettings, ServiceSettings


class PollerSettings(ServiceSettings):
    """Variables that begin with POLLER_."""

    model_config = SettingsConfigDict(env_prefix="POLLER_", frozen=True)
    port: int = Field(8091, description="the port of /livez, /readyz and /metrics")
    api_url: str = Field(pattern="^https?://.", description="the data API's address, as http://127.0.0.1:8090")
    group_number: int = Field(description="the group whose batches are taken")
    at_end: Literal["restart", "stop"] = Field(
        "restart", description="at the end of the data: restart the API and open a new epoch, or stop taking"
    )
    poll: Literal["auto", "manual"] = Field(
        "auto", description="take batches by itself, or begin paused and take them by command"
    )
    poll_every: float = Field(60.0, ge=0, description="seconds between two GETs")
    inbox: Path = Field(description="the folder in which answers lie until they are published")
    total_timeout: float = Field(600.0, gt=0, description="seconds that an answer may take in all")
    read_timeout: float = Field(120.0, gt=0, description="seconds of silence after which an answer is given up")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
