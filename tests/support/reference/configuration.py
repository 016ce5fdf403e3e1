"""The blocks of docs/reference/configuration.md: every variable with its default and its meaning."""

from collections.abc import Mapping

from pydantic.fields import FieldInfo

from support.reference.env_example import COMPOSE, compose_defaults, fields_by_part, written
from support.reference.tables import table
from veleta.valid_values import valid_values
from veleta_local.addresses import DEFAULT_PORTS
from veleta_local.variables import variables_of_make

_HEAD = ("variable", "default", "valid", "meaning")


def start_variables() -> str:
    """The variables of `make start` and `make demo`."""
    return table(
        _HEAD,
        (
            (f"`{name}`", default(field), valid_values(field), field.description or "")
            for name, field in variables_of_make().items()
        ),
    )


def default(field: FieldInfo) -> str:
    """A default as the table shows it. A default that depends on other variables is in words."""
    words = field.json_schema_extra
    return str(words["default"]) if isinstance(words, dict) else written(field)


def compose_variables() -> str:
    """The variables of `docker compose up`."""
    defaults = compose_defaults()
    return table(
        ("variable", "default", "meaning"),
        ((f"`{name}`", defaults[name], meaning) for name, meaning in COMPOSE.items()),
    )


def ports() -> str:
    """The port of each part of a run on one machine."""
    return table(("part", "port"), ((part, str(port)) for part, port in DEFAULT_PORTS.items()))


def service_settings() -> str:
    """A table for each part; a variable of several parts is in the first table only."""
    return "\n\n".join(f"### {part}\n\n{_settings(fields)}" for part, fields in fields_by_part().items())


def _settings(fields: Mapping[str, FieldInfo]) -> str:
    return table(_HEAD, (_row(name, field) for name, field in fields.items()))


def _row(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    shown = "required" if field.is_required() else written(field)
    return f"`{name}`", shown, valid_values(field), field.description or ""
