"""Settings from the environment: one model for each service, each field described, unknown names refused."""

import os
from pathlib import Path
from typing import TypeGuard, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.errors import Stop

_SECRETS = Path("/run/secrets")
SECRETS = _SECRETS if _SECRETS.is_dir() else None
"""The folder of a container's secrets: files with the names of variables. A variable overrides a file."""


class KafkaSettings(BaseSettings):
    """The address of Kafka."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", frozen=True)
    bootstrap: str = Field("127.0.0.1:9092", description="host:port of Kafka")


class MysqlSettings(BaseSettings):
    """The address of MySQL and the login."""

    model_config = SettingsConfigDict(env_prefix="MYSQL_", secrets_dir=SECRETS, frozen=True)
    host: str = Field("127.0.0.1", description="the host of MySQL")
    port: int = Field(3306, description="the port of MySQL")
    user: str = Field(description="the MySQL user of this process; each service has its own")
    password: SecretStr = Field(description="the password of that user")
    prefix: str = Field("", description="prefix of the names of all databases and users (for tests)")


class MlflowSettings(BaseSettings):
    """The address of MLflow."""

    model_config = SettingsConfigDict(env_prefix="MLFLOW_", frozen=True)
    tracking_uri: str = Field("http://127.0.0.1:5000", description="the address of the MLflow server")


class ServiceSettings(BaseSettings):
    """The settings of every service. The service's own model adds the prefix and the port."""

    model_config = SettingsConfigDict(frozen=True)
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(description="the port of /livez, /readyz and /metrics, and of the service's own routes")
    dataset: str = Field(
        "real_estate",
        validation_alias="DATASET",
        description="the dataset: a name in veleta/datasets, or the path of a TOML file",
    )


S = TypeVar("S", bound=BaseSettings)


def variables(kind: type[BaseSettings]) -> dict[str, FieldInfo]:
    """The fields of a model by the names of their environment variables, without nested models."""
    prefix = kind.model_config.get("env_prefix", "")
    own = {n: f for n, f in kind.model_fields.items() if not _is_model(f.annotation)}
    return {str(f.validation_alias or f"{prefix}{n}").upper(): f for n, f in own.items()}


def read_settings(kind: type[S]) -> S:
    """Read the settings from the environment.

    Raises:
        Stop: a value is missing or wrong, or a name with the service's prefix is unknown. The message names it.
    """
    prefix, known = kind.model_config.get("env_prefix", ""), variables(kind)
    if prefix and (unknown := sorted(n for n in os.environ if n.startswith(prefix) and n not in known)):
        raise Stop(f"unknown setting {', '.join(unknown)}; use one of {', '.join(sorted(known))}")
    try:
        return kind()
    except ValidationError as error:
        errors = [f"{_variable(error.title, e['loc'], kind)}: {e['msg']}" for e in error.errors()]
        raise Stop("; ".join(errors)) from error


def _is_model(value: object) -> TypeGuard[type[BaseSettings]]:
    return isinstance(value, type) and issubclass(value, BaseSettings)


def _variable(model: str, location: tuple[int | str, ...], kind: type[BaseSettings]) -> str:
    """The name of the variable that an error of a model, or of a model nested in it, is about."""
    nested = (field.default_factory for field in kind.model_fields.values())
    prefixes = {each.__name__: each.model_config.get("env_prefix", "") for each in (kind, *filter(_is_model, nested))}
    name = str(location[0]) if location else model
    return name if name.isupper() else f"{prefixes.get(model, '')}{name}".upper()
