"""Settings from the environment: one model for each service, each field described, unknown names refused."""

import os
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from pydantic import Field, SecretStr, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.bounds import HostNames, Port
from veleta.errors import Stop
from veleta.service.health import LIVENESS_SECONDS
from veleta.valid_values import SPARK_PATTERN, did_you_mean, own_reason, valid_values

_SECRETS = Path("/run/secrets")
SECRETS = _SECRETS if _SECRETS.is_dir() else None
"""The folder of a container's secrets: files with the names of variables. A variable overrides a file."""


class KafkaSettings(BaseSettings):
    """The address of Kafka and the login. A client without a user may only read."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", secrets_dir=SECRETS, frozen=True)
    bootstrap: str = Field("127.0.0.1:9092", description="host:port of Kafka")
    user: str | None = Field(None, description="the Kafka user of this process; each service has its own")
    password: SecretStr = Field(SecretStr(""), description="the password of that user")


class MysqlSettings(BaseSettings):
    """The address of MySQL and the login."""

    model_config = SettingsConfigDict(env_prefix="MYSQL_", secrets_dir=SECRETS, frozen=True)
    host: str = Field("127.0.0.1", description="the host of MySQL")
    port: Port = Field(3306, description="the port of MySQL")
    user: str = Field(description="the MySQL user of this process; each service has its own")
    password: SecretStr = Field(description="the password of that user")
    prefix: str = Field("", description="prefix of the names of all databases and users (for tests)")


class MlflowSettings(BaseSettings):
    """The address of MLflow, and the token of a part that writes."""

    model_config = SettingsConfigDict(env_prefix="MLFLOW_", secrets_dir=SECRETS, frozen=True)
    tracking_uri: str = Field("http://127.0.0.1:5000", description="the address of the MLflow server")
    tracking_token: SecretStr | None = Field(None, description="the token for writes to MLflow; reads need none")


class SparkSettings(BaseSettings):
    """The cluster of Apache Spark, and what a session may use of it."""

    model_config = SettingsConfigDict(env_prefix="SPARK_", secrets_dir=SECRETS, frozen=True)
    master: str = Field(
        "local[2,4]",
        pattern=SPARK_PATTERN,
        description="the master of the cluster, or the threads that are used without a cluster",
    )
    secret: SecretStr | None = Field(None, description="what master, workers and sessions must know; none: no check")
    jars: Path = Field(Path("/opt/spark-jars"), description="the folder with the jars of Spark's Kafka source")
    driver_host: str = Field("127.0.0.1", description="the name or address by which executors reach this process")
    driver_memory: int = Field(1024, ge=512, description="megabytes of the Java process of a session")
    executor_memory: int = Field(
        1024, ge=512, description="megabytes of the Java process of an executor; its Python processes need more"
    )
    task_cpus: int = Field(1, ge=1, description="cores that a task reserves")


class ServiceSettings(BaseSettings):
    """The settings of every service. The service's own model adds the prefix and the port."""

    model_config = SettingsConfigDict(frozen=True)
    host: str = Field("127.0.0.1", description="the address to listen on")
    hosts: HostNames = Field(
        "",
        description="names under which this service is reached, with commas; IP addresses and localhost always work",
    )
    port: Port = Field(description="the port of /livez, /readyz and /metrics, and of the service's own routes")
    liveness_seconds: float = Field(
        LIVENESS_SECONDS,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="seconds without progress of a main loop after which the process exits, so that it is restarted;"
        " 0: never, for a debugger",
    )
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
        Stop: a value is missing or wrong, or a name with the service's prefix is unknown. The message has a line for
            each.
    """
    prefix, known = kind.model_config.get("env_prefix", ""), variables(kind)
    unknown = sorted(name for name in os.environ if prefix and name.startswith(prefix) and name not in known)
    faults = [f"{name} is no setting: {did_you_mean(name, sorted(known))}" for name in unknown]
    factories = {name: field.default_factory for name, field in kind.model_fields.items()}
    nested = {name: model for name, model in factories.items() if _is_model(model)}
    own = create_model(kind.__name__, __base__=kind, **dict.fromkeys(nested, (Any, None)))  # type: ignore[call-overload]  # its stub forbids computed names
    for model in (*nested.values(), own):
        faults += _faults(model)
    if faults:
        raise Stop("\n".join(faults))
    return kind()


def _faults(kind: type[BaseSettings]) -> list[str]:
    """A line for each wrong variable of one model."""
    try:
        kind()
    except ValidationError as error:
        return [_fault(kind, str(each["loc"][0]), each) for each in error.errors()]
    return []


def _fault(kind: type[BaseSettings], name: str, error: ErrorDetails) -> str:
    """The line of a wrong variable. It does not show secrets."""
    variable = name if name.isupper() else f"{kind.model_config.get('env_prefix', '')}{name}".upper()
    field = variables(kind)[variable]
    valid = f"use {valid_values(field)} ({field.description})"
    if error["type"] == "missing":
        return f"{variable} is missing: {valid}"
    if reason := own_reason(error):
        return f"{variable}: {reason}"
    secret = field.annotation is SecretStr or not field.repr
    return f"{variable} is wrong: {valid}" if secret else f"{variable}={error['input']}: {valid}"


def _is_model(value: object) -> TypeGuard[type[BaseSettings]]:
    return isinstance(value, type) and issubclass(value, BaseSettings)
