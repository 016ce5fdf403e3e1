"""Describes what a field of a pydantic model accepts, in words for the author of a file or the user of a variable."""

import types
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

T = TypeVar("T")
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,47}$"
NAME_WORDS = "1 to 48 lower case letters, digits and _, with a letter first"
URL_PATTERN = r"^https?://[^\s/]+\S*$"
HOSTS_PATTERN = r"^[A-Za-z0-9._,-]*$"
_SPARK_ADDRESS = r"[^\s:/,]+:\d+"
SPARK_PATTERN = (
    r"^(local(\[(\d+|\*)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]|"
    rf"spark://{_SPARK_ADDRESS}(,{_SPARK_ADDRESS})*)$"
)

_PATTERNS = {
    NAME_PATTERN: NAME_WORDS,
    URL_PATTERN: "an address as http://host:port",
    HOSTS_PATTERN: "names as a.example.com,b.example.com",
    SPARK_PATTERN: "spark://host:port, local[cores], or local[cores,attempts of a task]",
}
_BOUNDS = {"ge": "from", "gt": "above", "le": "up to", "lt": "below"}
_TYPES: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    date: "a date as 1999-12-31",
    tuple[float, float]: "[lowest, highest]",
    tuple[date, date]: "[earliest, latest] as [1999-01-01, 2030-12-31]",
    tuple[int, int]: "[lowest, highest] in whole numbers",
}


def valid_values(field: FieldInfo) -> str:
    """What the field accepts, as `a whole number from 1 up to 64` or `restart or stop`."""
    annotation = _without_none(field.annotation)
    if get_origin(annotation) is Literal:
        return alternatives(map(str, get_args(annotation)))
    pattern = next(filter(None, (getattr(each, "pattern", None) for each in field.metadata)), "")
    return _PATTERNS.get(pattern) or f"{_type(annotation)}{_bounds(field)}"


def own_reason(error: ErrorDetails) -> str:
    """The message of an error that a validator of this project raised, which shows no value. Empty for other errors."""
    return str(error["ctx"]["error"]) if error["type"] == "value_error" else ""


def valid_item(field: FieldInfo) -> str:
    """What an item of a table or of a list accepts."""
    return _type(get_args(field.annotation)[-1])


def nearest_valid(field: FieldInfo, value: object) -> object:
    """The bound of a number that is nearest to a value beyond it; the default for what is no number."""
    bounds = {name: getattr(each, name) for each in field.metadata for name in ("ge", "le") if hasattr(each, name)}
    try:
        number = float(str(value))
    except ValueError:
        return field.get_default()
    if "le" in bounds and number > bounds["le"]:
        return bounds["le"]
    return bounds["ge"] if "ge" in bounds and number < bounds["ge"] else field.get_default()


def alternatives(values: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = values
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """The name that is most like a wrong one, as a question; or else all of them."""
    known = list(names)
    if close := get_close_matches(str(name), known, 1):
        return f"did you mean {close[0]}?"
    return f"use {alternatives(known)}" if known else "there is none"


def repeated(items: Iterable[T]) -> list[T]:
    """The items that are there more than once."""
    return [item for item, count in Counter(items).items() if count > 1]


def unknown(where: str, names: Iterable[str], declared: Sequence[str]) -> Iterator[str]:
    """A fault for each name that is no column."""
    return (f"{where} {name} is no column: {did_you_mean(name, declared)}" for name in names if name not in declared)


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(each for each in get_args(annotation) if each is not type(None))
    return annotation


def _type(annotation: Any) -> str:
    if annotation in _TYPES:
        return _TYPES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (list, tuple):
        count = f"{len(arguments)} " if origin is tuple else ""
        return f"a list of {count}{_type(arguments[0]).removeprefix('a ')}s"
    if origin is Annotated:
        field = FieldInfo.from_annotation(annotation)
        return "a name" if field.annotation is str else valid_values(field)
    return "a text" if origin is None and not hasattr(annotation, "model_fields") else "a table"


def _bounds(field: FieldInfo) -> str:
    """The bounds of a number, as ` from 1 up to 64`."""
    bounds = {name: getattr(each, name) for each in field.metadata for name in _BOUNDS if hasattr(each, name)}
    return "".join(f" {_BOUNDS[name]} {value:,}" for name, value in bounds.items())
