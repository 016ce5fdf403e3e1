"""Writes `.env.example`: every variable that a part of Veleta reads, from the settings models."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from support.repository import ROOT, package, services
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, SparkSettings, variables
from veleta.start_variables import REPLACED
from veleta_mlflow.settings import MlflowServerSettings
from veleta_notebooks.settings import NotebooksSettings
from veleta_prepare.settings import KafkaUsers, MysqlUsers, PrepareSettings

ENV_EXAMPLE = ROOT / ".env.example"
HEAD = """\
# Every variable with its default. You need to copy nothing from here: make and docker compose start without it.

# --- docker compose: in the environment, or in a file .env beside compose.yaml
"""
SERVICES_HEAD = """\
# The variables that each service reads. make and compose set them; you need them to start a service by hand.
"""
COMPOSE = {
    "KAFKA_BIND": "the address of this machine on which the port of Kafka is published; 0.0.0.0: every address",
    "MLFLOW_BIND": "the same for the port of MLflow",
    "SOURCE_BIND": "the same for the port of the project's own data API",
    "INFERENCE_BIND": "the same for the port of the prediction API",
    "MONITOR_BIND": "the same for the port of the monitor",
    "KAFKA_UI_BIND": "the same for the port of the UI for Kafka",
    "JUPYTER_BIND": "the same for the port of JupyterLab",
    "KAFKA_PORT": "the published port of Kafka",
    "MLFLOW_PORT": "the published port of MLflow",
    "SOURCE_PORT": "the published port of the project's own data API",
    "INFERENCE_PORT": "the published port of the prediction API",
    "MONITOR_PORT": "the published port of the monitor",
    "KAFKA_UI_PORT": "the published port of the UI for Kafka (profile tools)",
    "JUPYTER_PORT": "the published port of JupyterLab (profile tools)",
    "SCALE": "size of the generated batches; 1: the size of the real ones",
    "SEED": "random seed of the generated rows; the same seed gives the same rows",
    "DATASET": "the dataset: a name in shared/veleta/datasets, or with compose/csv.yaml /own/file.toml of FOLDER",
    "GROUP_NUMBER": "the group whose batches are fetched from the data API",
    "AT_END": "at the end of the data: restart or stop; with compose/csv.yaml stop",
    "ON_NEW_EPOCH": "the rows of the old epoch: clear or keep",
    "POLL": "auto, or manual: start paused and fetch each batch by command",
    "POLL_EVERY": "seconds between two requests to the data API; with compose/api.yaml 60",
    "TREES": "number of trees of a model",
    "FIT_SECONDS": "seconds that a fit may take; then the training fails",
    "FIT_MEMORY": "megabytes that a fit may use; then the training fails. 0: nine tenths of all memory",
    "MAX_ROWS": "training rows that a model learns from, sampled by property; 0: all",
    "JOURNAL_SYNC": "group: answered requests survive a power loss; none: only a kill, and answers are faster",
    "WORKERS": "number of inference processes that share the port",
    "STRICT": "1: inference refuses values outside what the model has learnt; 0: it answers with warnings",
    "API_KEYS": "the API keys that inference accepts: name:sha256 of each, with commas; none: no key is required",
    "HOSTS": "names under which the published ports are reached, with commas; IP addresses and localhost always work",
    "MONITOR_PASSWORD": "the password for the buttons of the monitor; none: it has no buttons",
    "KEEP_REQUESTS_DAYS": "days after which stored requests are deleted, answered and refused ones; 0: never",
    "KEEP_EPOCHS": "the newest epochs whose rows are kept; 0: all; empty: 10, or all if an earlier version began",
    "KEEP_BATCHES_DAYS": "days until batches of earlier epochs lose their rows; 0: never",
    "KEEP_VERSIONS": "the newest replaced or rejected versions that keep artifacts; 0: all; empty: 20, or all as above",
    "CPUS": "processors that each of kafka, mysql, trainer and inference may use; not more than the machine has",
    "SECRETS": "a folder with passwords of your own (compose/prepare/veleta_prepare/passwords.py lists the files)",
    "API_URL": "with compose/api.yaml: the address of the data API",
    "REPLICAS": "with compose/scale.yaml: containers of inference, at most 32",
    "SPARK_WORKERS": "with compose/spark.yaml: workers, each with one core and 4 GB",
    "FOLDER": "with compose/csv.yaml and the service score: the folder of your files",
    "CSV": "with compose/csv.yaml and the service score: the name of the file in FOLDER",
    "PARQUET": "with the service score: the name of the file in FOLDER, if it is Parquet",
    "OUT": "with the service score: the name of the file that is written to FOLDER",
}
"""The variables of docker compose, with their meanings."""
_ASKED = re.compile(r"\$\{([A-Z_]+):(-|\?)([^}]*)\}")


def settings_models() -> dict[str, list[type[BaseSettings]]]:
    """The settings models of each part; those that all services share come first."""
    shared: list[type[BaseSettings]] = [KafkaSettings, MysqlSettings, MlflowSettings, SparkSettings]
    parts: dict[str, list[type[BaseSettings]]] = {
        "all services": shared,
        "mlflow": [MlflowServerSettings],
        "prepare": [PrepareSettings, KafkaUsers, MysqlUsers],
        "notebooks": [NotebooksSettings],
    }
    return parts | {
        service: _models_of(service) for service in services() if (package(service) / "settings.py").exists()
    }


def fields_by_part() -> dict[str, dict[str, FieldInfo]]:
    """The variables of each part; one of several parts, such as DATASET, is in the first part only."""
    found: dict[str, dict[str, FieldInfo]] = {}
    seen: set[str] = set()
    for part, models in settings_models().items():
        found[part] = {name: field for model in models for name, field in variables(model).items() if name not in seen}
        seen |= found[part].keys()
    return found


def documented() -> dict[str, FieldInfo]:
    """Every variable of a settings model, by name."""
    return {name: field for fields in fields_by_part().values() for name, field in fields.items()}


def env_example() -> str:
    """The whole file."""
    defaults = compose_defaults()
    entries = [f"# {meaning}\n#{name}={defaults[name]}" for name, meaning in COMPOSE.items()]
    sections = [HEAD + "\n".join(entries) + "\n", SERVICES_HEAD]
    for part, fields in fields_by_part().items():
        sections.append("\n".join([f"# --- {part}", *(_entry(name, field) for name, field in fields.items())]) + "\n")
    return "\n".join(sections)


def compose_defaults() -> dict[str, str]:
    """Every variable in a compose file, with its default; an overlay's counts only when there is no other.

    Those without an effect are left out: the check of a start refuses them.
    """
    overlays = [ROOT / f"compose/{name}.yaml" for name in ("api", "csv", "dev")]
    files = [path for path in sorted((ROOT / "compose").glob("*.yaml")) if path not in overlays]
    found: dict[str, str] = {}
    for path in (ROOT / "compose.yaml", *files, *overlays):
        for name, kind, word in _ASKED.findall(path.read_text()):
            if name in REPLACED:
                continue
            found.setdefault(name, word if kind == "-" and name not in ("SECRETS", "FOLDER") else "")
    return found


def written(field: FieldInfo) -> str:
    """A default as an environment variable; empty for a required one and for every secret."""
    if field.is_required() or field.annotation is SecretStr:
        return ""
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, dict | list):
        return json.dumps(value)
    return "" if value is None else str(value.as_posix() if isinstance(value, Path) else value)


def _models_of(service: str) -> list[type[BaseSettings]]:
    module = importlib.import_module(f"veleta_{service}.settings")
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, BaseSettings) and kind.__module__ == module.__name__
    ]


def _entry(name: str, field: FieldInfo) -> str:
    required = " (required)" if field.is_required() else ""
    return f"# {field.description}{required}\n#{name}={written(field)}"
