"""The settings of the source."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from veleta.bounds import Port, Scale, Seed
from veleta.settings import SECRETS, ServiceSettings


class SourceSettings(ServiceSettings):
    """Variables that begin with SOURCE_."""

    model_config = SettingsConfigDict(env_prefix="SOURCE_", secrets_dir=SECRETS, frozen=True)
    port: Port = Field(8090, description="the port of the API, and of /livez, /readyz and /metrics")
    csv: Path | None = Field(
        None, description="the CSV or Parquet file that is served; without one, rows are generated"
    )
    scale: Scale = Field(0.02, description="the size of generated batches, 1 for that of the real ones")
    seed: Seed = Field(1, description="the random seed of generated rows: the same seed gives the same rows")
    state: Path = Field(description="the folder for batch files and for the cursors of the groups")
    token: SecretStr | None = Field(
        None, description="the token that a request for a batch or a restart must have; without one they are open"
    )

    @field_validator("csv", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None
