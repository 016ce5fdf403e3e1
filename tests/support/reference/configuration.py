"""The blocks of docs/reference/configuration.md: every variable with its default and its meaning."""

from pydantic.fields import FieldInfo

from support.address_book import COMPOSE, asked_of_compose, settings_models, written
from support.reference.tables import table
from veleta.settings import variables
from veleta_local.addresses import DEFAULT_PORTS
from veleta_local.variables import RULES

_HEAD = ("variable", "default", "meaning")


def start_variables() -> str:
    """The variables of `make start` and `make demo`."""
    return table(_HEAD, ((f"`{name}`", rule.default, rule.meaning) for name, rule in RULES.items()))


def compose_variables() -> str:
    """The variables of `docker compose up`."""
    defaults = asked_of_compose()
    return table(_HEAD, ((f"`{name}`", defaults[name], meaning) for name, meaning in COMPOSE.items()))


def ports() -> str:
    """The port of each part of a run on one machine."""
    return table(("part", "port"), ((part, str(port)) for part, port in DEFAULT_PORTS.items()))


def service_settings() -> str:
    """A table for each service; a variable of several services is in the first table alone."""
    seen: set[str] = set()
    sections = []
    for part, models in settings_models().items():
        fields = {name: field for model in models for name, field in variables(model).items() if name not in seen}
        seen |= fields.keys()
        sections.append(f"### {part}\n\n{table(_HEAD, (_row(name, field) for name, field in fields.items()))}")
    return "\n\n".join(sections)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str]:
    return f"`{name}`", "required" if field.is_required() else written(field), field.description or ""
