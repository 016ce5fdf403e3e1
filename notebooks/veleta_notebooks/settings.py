"""The settings of the notebooks."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.bounds import Port
from veleta.settings import MlflowSettings, MysqlSettings


class NotebooksSettings(BaseSettings):
    """Variables with the prefix NOTEBOOKS_. The notebooks log in to MySQL as `requests_reader`."""

    model_config = SettingsConfigDict(env_prefix="NOTEBOOKS_", frozen=True)
    host: str = Field("127.0.0.1", description="the address that JupyterLab listens on")
    port: Port = Field(8888, description="the port of JupyterLab")
    dataset: str = Field(
        "real_estate",
        validation_alias="DATASET",
        description="the dataset: a name in veleta/datasets, or the path of a TOML file",
    )
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
