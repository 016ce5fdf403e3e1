"""The address book `.env.example`: every variable that a part of Veleta reads, from the settings models themselves."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from support.house import ROOT, package, services
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, variables
from veleta_notebooks.settings import NotebooksSettings
from veleta_prepare.settings import PrepareSettings, ServiceUsers

ADDRESS_BOOK = ROOT / ".env.example"
HEAD = """\
# Every variable, with its default. Nothing needs to be copied from here: make and docker compose start without.

# --- docker compose: in the environment, or in a file .env beside compose.yaml
"""
SERVICES_HEAD = """\
# What follows is what each service reads itself, for whoever starts one by hand. make and compose give it.
"""
COMPOSE = {
    "BIND": "the address of this machine on which ports are published; 0.0.0.0 for all",
    "KAFKA_PORT": "the published port of Kafka",
    "MLFLOW_PORT": "the published port of MLflow",
    "SOURCE_PORT": "the published port of our own data API",
    "INFERENCE_PORT": "the published port of the prediction API",
    "MONITOR_PORT": "the published port of the monitor",
    "KAFKA_UI_PORT": "the published port of Kafka's UI (profile tools)",
    "JUPYTER_PORT": "the published port of JupyterLab (profile tools)",
    "SCALE": "of rows made by chance: 1 gives each batch its whole size",
    "SEED": "of rows made by chance: the same seed gives the same rows",
    "DATASET": "the dataset: a name in shared/veleta/datasets, or with compose/csv.yaml /own/file.toml of FOLDER",
    "GROUP_NUMBER": "the group whose batches are taken",
    "AT_END": "at the end of the data: restart or stop; with compose/csv.yaml stop",
    "ON_NEW_EPOCH": "what becomes of the old epoch's rows: clear or keep",
    "POLL": "auto, or manual: begin paused, and take batches by hand",
    "POLL_EVERY": "seconds between two questions to the API; with compose/api.yaml 60",
    "TREES": "trees of a model",
    "JOURNAL_SYNC": "group: answered requests survive a loss of power; none: only kills, and answers come sooner",
    "WORKERS": "processes of inference, which share its port",
    "KEEP_REQUESTS_DAYS": "days that requests stay in MySQL, answered and refused ones; 0: for ever",
    "SECRETS": "a folder of passwords of your own (compose/prepare/veleta_prepare/passwords.py names them)",
    "API_URL": "with compose/api.yaml: the address of the data API",
    "FOLDER": "with compose/csv.yaml: the folder of your files",
    "CSV": "with compose/csv.yaml: the name of the file in FOLDER",
}
"""What compose can be told, and what it means."""
_ASKED = re.compile(r"\$\{([A-Z_]+):(-|\?)([^}]*)\}")


def settings_models() -> dict[str, list[type[BaseSettings]]]:
    """By part of the project: its settings models, those that all parts share first."""
    shared: list[type[BaseSettings]] = [KafkaSettings, MysqlSettings, MlflowSettings]
    parts: dict[str, list[type[BaseSettings]]] = {
        "all services": shared,
        "prepare": [PrepareSettings, ServiceUsers],
        "notebooks": [NotebooksSettings],
    }
    return parts | {
        service: _models_of(service) for service in services() if (package(service) / "settings.py").exists()
    }


def documented() -> dict[str, FieldInfo]:
    """Every variable by its name; those of many parts, such as DATASET, once."""
    found: dict[str, FieldInfo] = {}
    for models in settings_models().values():
        for model in models:
            found = variables(model) | found
    return found


def address_book() -> str:
    """The whole file."""
    seen: set[str] = set()
    defaults = asked_of_compose()
    told = [f"# {meaning}\n#{name}={defaults[name]}" for name, meaning in COMPOSE.items()]
    sections = [HEAD + "\n".join(told) + "\n", SERVICES_HEAD]
    for part, models in settings_models().items():
        fields = {name: field for model in models for name, field in variables(model).items() if name not in seen}
        seen |= fields.keys()
        sections.append("\n".join([f"# --- {part}", *(_entry(name, field) for name, field in fields.items())]) + "\n")
    return "\n".join(sections)


def asked_of_compose() -> dict[str, str]:
    """Every variable that a compose file asks for, with its default; those of the overlays count last."""
    overlays = [ROOT / f"compose/{name}.yaml" for name in ("api", "csv", "dev")]
    files = [path for path in sorted((ROOT / "compose").glob("*.yaml")) if path not in overlays]
    found: dict[str, str] = {}
    for path in (ROOT / "compose.yaml", *files, *overlays):
        for name, kind, word in _ASKED.findall(path.read_text()):
            found.setdefault(name, word if kind == "-" and name != "SECRETS" else "")
    return found


def written(field: FieldInfo) -> str:
    """A default as it stands in an environment; nothing for what is required, and for every secret."""
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
