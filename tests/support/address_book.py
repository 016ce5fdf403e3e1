"""The address book `.env.example`: every variable that a part of Veleta reads, from the settings models themselves."""

import importlib
import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from support.house import ROOT, package, services
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, variables
from veleta_prepare.settings import PrepareSettings, ServiceUsers

ADDRESS_BOOK = ROOT / ".env.example"
HEAD = """\
# Every variable that a part of Veleta reads, with its default. What is required must be given by whoever starts the
# part; `make start` does so by itself, so nothing needs to be copied from here.
"""


def settings_models() -> dict[str, list[type[BaseSettings]]]:
    """By part of the project: its settings models, those that all parts share first."""
    shared: list[type[BaseSettings]] = [KafkaSettings, MysqlSettings, MlflowSettings]
    parts: dict[str, list[type[BaseSettings]]] = {"all services": shared, "prepare": [PrepareSettings, ServiceUsers]}
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
    sections = [HEAD]
    for part, models in settings_models().items():
        fields = {name: field for model in models for name, field in variables(model).items() if name not in seen}
        seen |= fields.keys()
        sections.append("\n".join([f"# --- {part}", *(_entry(name, field) for name, field in fields.items())]) + "\n")
    return "\n".join(sections)


def _models_of(service: str) -> list[type[BaseSettings]]:
    module = importlib.import_module(f"veleta_{service}.settings")
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, BaseSettings) and kind.__module__ == module.__name__
    ]


def _entry(name: str, field: FieldInfo) -> str:
    required = " (required)" if field.is_required() else ""
    return f"# {field.description}{required}\n#{name}={_written(field)}"


def _written(field: FieldInfo) -> str:
    """A default as it stands in an environment; nothing for what is required, and for every secret."""
    if field.is_required() or field.annotation is SecretStr:
        return ""
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, dict | list):
        return json.dumps(value)
    return "" if value is None else str(value.as_posix() if isinstance(value, Path) else value)
