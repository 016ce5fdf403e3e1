"""Reads a TOML document, and describes where it does not have the structure of a pydantic model."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel

from veleta.errors import Stop
from veleta.valid_values import NAME_WORDS, did_you_mean, valid_item, valid_values

Fault = Mapping[str, Any]
"""An error of pydantic's: its `loc`, `type` and more."""
Steps = Sequence[int | str]
"""The keys and indices from the document to a value."""
MAX_SHOWN = 60


def read_toml(text: str) -> dict[str, Any]:
    """The document of a text. Raises Stop: it is not TOML; the message has the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), ", str(error))
        line = f": {text.splitlines()[int(at[1]) - 1].strip()!r}" if at else ""
        raise Stop(f"this is not TOML: {error}{line}") from error


def valid_parts(document: Mapping[str, Any], errors: Iterable[Fault]) -> dict[str, Any]:
    """The document without the keys, and without the items of lists and tables, that have an error."""
    wrong = {error["loc"][:2] for error in errors}

    def valid(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [each for position, each in enumerate(value) if (key, position) not in wrong]
        if isinstance(value, dict):
            return {inner: each for inner, each in value.items() if (key, inner) not in wrong}
        return value

    return {key: valid(key, value) for key, value in document.items() if (key,) not in wrong}


def structure_faults(
    model: type[BaseModel], document: Mapping[str, Any], errors: Iterable[Fault], section: Steps = ()
) -> list[str]:
    """A line for each fault: the section and the key, what was seen and what is valid.

    `errors` are those of validating `document` as `model`. `section` is where the document is in its file.
    """
    lines = (_line(model, document, error, section) for error in errors)
    return list(dict.fromkeys(lines))


def place(document: Any, steps: Steps, section: Steps = ()) -> str:
    """The place of a table in words, as `column bed` or `[[source]] place 3`; empty for the document itself."""
    keys = [str(step) for step in (*section, *steps) if isinstance(step, str)]
    labels = [_label(_value(document, steps[: i + 1]), step) for i, step in enumerate(steps) if isinstance(step, int)]
    if keys == ["columns"]:
        return f"column {labels[0]}"
    brackets = f"[[{'.'.join(keys)}]]" if steps and isinstance(steps[-1], int) else f"[{'.'.join(keys)}]"
    return " ".join([brackets, ", ".join(labels)]).strip() if keys else ""


def shown(value: object) -> str:
    """A value as it is in the file, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, list):
        text = f"[{', '.join(map(shown, value))}]"
    else:
        text = value.isoformat() if isinstance(value, date) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _line(model: type[BaseModel], document: Mapping[str, Any], error: Fault, section: Steps) -> str:
    owner, depth = _owner(model, error["loc"])
    steps, key, rest = error["loc"][:depth], str(error["loc"][depth]), error["loc"][depth + 1 :]
    where = place(document, steps, section)
    if error["type"] == "extra_forbidden":
        return _joined(where, f"{key} is no key: {did_you_mean(key, owner.model_fields)}")
    field = owner.model_fields[key]
    if error["type"] == "missing" and not rest:
        return _joined(where, f"{key} is missing: use {valid_values(field)}")
    if rest[-1:] == ("[key]",):
        return _joined(f"[{key}]", f"{rest[0]} is no name: use {NAME_WORDS}")
    if rest and isinstance(rest[0], str):
        value = _value(document, (*steps, key, rest[0]))
        return _joined(place(document, (*steps, key), section), f"{rest[0]} = {shown(value)}: use {valid_item(field)}")
    valid = "a finite number" if error["type"] == "finite_number" else valid_values(field)
    return _joined(where, f"{key} = {shown(_value(document, (*steps, key)))}: use {valid}")


def _joined(where: str, fault: str) -> str:
    if not where:
        return fault
    return f"{where} {fault}" if where.endswith("]") else f"{where}: {fault}"


def _owner(model: type[BaseModel], steps: Steps) -> tuple[type[BaseModel], int]:
    """The model of the innermost table on the way to a value, and how many steps lead to it."""
    owner, depth, inner = model, 0, model
    for position, step in enumerate(steps):
        if isinstance(step, int):
            continue
        owner, depth = inner, position
        field = owner.model_fields.get(step)
        nested = _model_in(field.annotation) if field else None
        if nested is None:
            break
        inner = nested
    return owner, depth


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _value(document: Any, steps: Steps) -> Any:
    for step in steps:
        document = document[step]
    return document


def _label(table: Any, position: int) -> str:
    """The name of a table in a list: what it declares, or else its number."""
    values = table if isinstance(table, dict) else {}
    if name := values.get("name") or values.get("column"):
        return str(name)
    return f"place {number}" if isinstance(number := values.get("place"), int) else f"number {position + 1}"
