"""Settings come from the environment: one model a service, each field described, unknown names refused."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.errors import Stop

_SECRETS = Path("/run/secrets")
SECRETS = _SECRETS if _SECRETS.is_dir() else None
"""Where a container has its secrets: files that are called as the variables are, which a variable overrides."""


class KafkaSettings(BaseSettings):
    """Where the broker is."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", frozen=True)
    bootstrap: str = Field("127.0.0.1:9092", description="host:port of the broker")


class MysqlSettings(BaseSettings):
    """Where the database is, and as whom to log in."""

    model_config = SettingsConfigDict(env_prefix="MYSQL_", secrets_dir=SECRETS, frozen=True)
    host: str = Field("127.0.0.1", description="the database's host")
    port: int = Field(3306, description="the database's port")
    user: str = Field(description="the user this process logs in as: each service has its own")
    password: SecretStr = Field(description="that user's password")
    prefix: str = Field("", description="put before the names of all databases and users (tests use it)")


class MlflowSettings(BaseSettings):
    """Where the registry is."""

    model_config = SettingsConfigDict(env_prefix="MLFLOW_", frozen=True)
    tracking_uri: str = Field("http://127.0.0.1:5000", description="the address of MLflow's server")


class ServiceSettings(BaseSettings):
    """What every service has. A service's own model gives the prefix and the port."""

    model_config = SettingsConfigDict(frozen=True)
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(description="the port of /livez, /readyz and /metrics (and of the service's own pages)")
    dataset: str = Field(
        "real_estate",
        validation_alias="DATASET",
        description="the dataset: a name in veleta/datasets, or the path of a TOML file",
    )


S = TypeVar("S", bound=BaseSettings)


def variables(kind: type[BaseSettings]) -> dict[str, FieldInfo]:
    """The environment variables that a model reads itself, by their names; nested models read their own."""
    prefix = kind.model_config.get("env_prefix", "")
    own = {n: f for n, f in kind.model_fields.items() if not _is_model(f.annotation)}
    return {str(f.validation_alias or f"{prefix}{n}").upper(): f for n, f in own.items()}


def read_settings(kind: type[S]) -> S:
    """The settings in the environment.

    Raises:
        Stop: a value is missing or wrong, or a name with the service's prefix is unknown; the message names it.
    """
    prefix, known = kind.model_config.get("env_prefix", ""), variables(kind)
    if prefix and (unknown := sorted(n for n in os.environ if n.startswith(prefix) and n not in known)):
        raise Stop(f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        return kind()
    except ValidationError as error:
        faults = [f"{_variable(error.title, e['loc'], kind)}: {e['msg']}" for e in error.errors()]
        raise Stop("; ".join(faults)) from error


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseSettings)


def _variable(model: str, where: tuple[int | str, ...], kind: type[BaseSettings]) -> str:
    models: dict[str, type[BaseSettings]] = {
        m.__name__: m for m in (kind, KafkaSettings, MysqlSettings, MlflowSettings)
    }
    prefix = models[model].model_config.get("env_prefix", "") if model in models else ""
    name = str(where[0]) if where else model
    return name if name.isupper() else f"{prefix}{name}".upper()
