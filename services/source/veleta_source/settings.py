"""What source can be told."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from veleta.settings import ServiceSettings


class SourceSettings(ServiceSettings):
    """Variables that begin with SOURCE_."""

    model_config = SettingsConfigDict(env_prefix="SOURCE_", frozen=True)
    port: int = Field(8090, description="the port of the API, and of /livez, /readyz and /metrics")
    csv: Path | None = Field(None, description="the CSV file whose rows are handed out; none: rows are made by chance")
    scale: float = Field(0.02, gt=0, le=1, description="of rows made by chance: 1 gives each batch its whole size")
    seed: int = Field(1, ge=0, description="of rows made by chance: the same seed gives the same rows")
    state: Path = Field(description="the folder for batches that are ready to send, and for the groups' cursors")

    @field_validator("csv", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None
