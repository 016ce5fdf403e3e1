"""What source can be told."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.settings import ServiceSettings


class SourceSettings(ServiceSettings):
    """Variables that begin with SOURCE_."""

    model_config = SettingsConfigDict(env_prefix="SOURCE_", frozen=True)
    port: int = Field(8090, description="the port of the API, and of /livez, /readyz and /metrics")
    csv: Path = Field(description="the CSV file whose rows are handed out")
    state: Path = Field(description="the folder for batches that are ready to send, and for the groups' cursors")
