"""The settings of the poller."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from veleta.bounds import Bytes, GroupNumber, PollEvery, Port, Seconds
from veleta.settings import SECRETS, KafkaSettings, ServiceSettings
from veleta.valid_values import URL_PATTERN


class PollerSettings(ServiceSettings):
    """Variables that begin with POLLER_."""

    model_config = SettingsConfigDict(env_prefix="POLLER_", secrets_dir=SECRETS, frozen=True)
    port: Port = Field(8091, description="the port of /livez, /readyz and /metrics")
    api_url: str = Field(pattern=URL_PATTERN, description="the data API's address, as http://127.0.0.1:8090")
    api_token: SecretStr = Field(SecretStr(""), description="the token that the data API requires, if it requires one")
    group_number: GroupNumber = Field(description="the group whose batches are fetched")
    at_end: Literal["restart", "stop"] = Field(
        "restart", description="at the end of the data: restart the API and begin a new epoch, or stop polling"
    )
    poll: Literal["auto", "manual"] = Field(
        "auto", description="auto: fetch batches at the interval; manual: start paused and fetch batches on command"
    )
    poll_every: PollEvery = Field(60.0, description="seconds between two requests for a batch")
    inbox: Path = Field(description="the folder for responses that are not yet published")
    disks: dict[str, Path] = Field(
        default_factory=dict,
        description="JSON: the data folder of each other part by name; no batch is fetched while one is nearly full",
        json_schema_extra={"default": "{}"},
    )
    total_timeout: Seconds = Field(600.0, description="seconds after which a response is abandoned")
    read_timeout: Seconds = Field(120.0, description="seconds without data after which a response is abandoned")
    max_body: Bytes = Field(
        1024 * 1024 * 1024,
        description="bytes of a response, received and decompressed; a larger one is refused. Parsing needs six times"
        " the memory",
    )
    max_kept: Bytes = Field(
        1024 * 1024 * 1024,
        description="bytes of interrupted and refused responses in the inbox; beyond it the oldest are deleted",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
