"""The dataset file, which declares the columns. No other code contains the name of a column."""

import hashlib
import math
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from veleta.errors import Stop
from veleta.values import DecimalMark, parse_category, parse_date, parse_identifier, parse_number

Kind = Literal["number", "identifier", "category", "date"]
Value = float | str | date | None
Row = Mapping[str, Any]
"""A row as received: column to JSON value."""
Values = dict[str, Value]
"""A typed row: float for number and identifier, str for category, date for date, None for a value that does not fit."""

MAX_TEXT = 255
"""The most characters of a category: the width of its column in MySQL."""
RESERVED = {
    "epoch", "number", "row_no", "rest", "request_id", "item", "client_request_id", "received_at", "answered_at",
    "prediction", "low", "high", "model_version", "latency_ms", "http_status", "previous", "compared_at", "retrain",
}  # fmt: skip
"""Names of the tables' own columns (names.md, Tables)."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]


class Section(BaseModel):
    """A section of the dataset file. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Section):
    """One column: its kind, its title for people, and how it becomes a feature."""

    name: Name
    title: str
    kind: Kind
    unit: str = ""
    minimum: float | None = None
    feature: Literal["none", "prefix"] = "none"
    digits: int = 0
    prefix: int = 0

    @model_validator(mode="after")
    def _prefix_is_complete(self) -> Self:
        if self.feature == "prefix" and not (self.kind == "identifier" and 1 <= self.prefix <= self.digits):
            raise ValueError("feature = prefix requires kind = identifier and 1 <= prefix <= digits")
        return self

    @property
    def numeric(self) -> bool:
        """Whether the data API sends it as a JSON number."""
        return self.kind in ("number", "identifier")

    def convert(self, value: object, mark: DecimalMark = ".") -> Value:
        """`value` in this column's type, or None if it does not fit (a word for a number, NaN, a long text).

        Text is read as `veleta.values` describes. `mark` is the decimal mark of numbers in it.
        """
        if isinstance(value, str):
            return self._parse(value, mark)
        return (
            _finite(value) if self.numeric and isinstance(value, int | float) and not isinstance(value, bool) else None
        )

    def _parse(self, text: str, mark: DecimalMark) -> Value:
        match self.kind:
            case "number":
                return parse_number(text, self.unit, mark)
            case "identifier":
                return parse_identifier(text, self.digits, mark)
            case "date":
                return parse_date(text)
            case "category":
                category = parse_category(text)
                return category if category is None or len(category) <= MAX_TEXT else None


class Condition(Section):
    """One condition of a batch rule. Exactly one of the three is set."""

    column: Name
    equals: str | None = None
    above: float | None = None
    at_most: float | None = None

    def holds(self, values: Values) -> bool:
        """Whether a complete row meets the condition."""
        value = values[self.column]
        if self.equals is not None:
            return value == self.equals
        assert isinstance(value, float)  # noqa: S101 - the dataset's validator admits only numeric columns here
        return (self.above is None or value > self.above) and (self.at_most is None or value <= self.at_most)


class BatchRule(Section):
    """Rows that meet all conditions belong to the batch at `place`."""

    place: int
    where: list[Condition]


class DriftRule(Section):
    """Columns that drift does not compare."""

    ignore: list[Name] = []


class Dataset(Section):
    """The whole file. `text` is its source, `digest` identifies this version of it."""

    name: Name
    title: str
    target: Name
    identity: list[Name]
    columns: list[Column]
    cleaning: dict[Name, tuple[float, float]] = {}
    drift: DriftRule = DriftRule()
    example: dict[Name, Any]
    source: list[BatchRule] = []
    generator: dict[str, Any] = {}
    """How `source` generates rows if there is no CSV file; `source` validates it."""
    text: str = Field(default="", exclude=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the file's text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Columns by their names, in the file's order."""
        return {column.name: column for column in self.columns}

    @property
    def names(self) -> list[str]:
        """The columns' names, in the file's order."""
        return list(self.by_name)

    @property
    def drift_columns(self) -> list[str]:
        """The numeric columns that drift compares, in the file's order."""
        return [c.name for c in self.columns if c.numeric and c.name not in self.drift.ignore]

    @property
    def inputs(self) -> list[Column]:
        """The columns of a prediction request: all but the target."""
        return [c for c in self.columns if c.name != self.target]

    def convert(self, row: Row) -> tuple[Values, dict[str, Any]]:
        """The typed row, and the rest: values that fit no column, under their received names."""
        values = {name: column.convert(row.get(name)) for name, column in self.by_name.items()}
        rest = {k: v for k, v in row.items() if v is not None and values.get(k) is None}
        return values, rest

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [c.name for c in self.columns]
        if reserved := sorted(RESERVED.intersection(names)):
            raise ValueError(f"these names are reserved: {', '.join(reserved)}")
        if len(set(names)) != len(names):
            raise ValueError("a column is declared twice")
        conditions = [c for rule in self.source for c in rule.where]
        used = {self.target, *self.identity, *self.cleaning, *self.drift.ignore, *(c.column for c in conditions)}
        if unknown := sorted(used.difference(names)):
            raise ValueError(f"these are not columns: {', '.join(unknown)}")
        if wrong := sorted(set(names).symmetric_difference(self.example)):
            raise ValueError(f"the example must have each column once; wrong: {', '.join(wrong)}")
        if self.by_name[self.target].kind != "number":
            raise ValueError("the target must be a number")
        if self.cleaning.get(self.target, (0.0, 0.0))[0] <= 0:
            raise ValueError("[cleaning] must bound the target above 0, because its logarithm is fitted")
        numeric = {n for n, c in self.by_name.items() if c.numeric}
        compared = {*self.cleaning, *(c.column for c in conditions if c.equals is None)}
        if textual := sorted(compared - numeric):
            raise ValueError(f"bounds require numbers: {', '.join(textual)}")
        return self


def parse_dataset(text: str) -> Dataset:
    """The dataset that a file's text declares.

    Raises:
        Stop: the text is not TOML or not a valid dataset; the message lists the faults.
    """
    try:
        return Dataset.model_validate({**tomllib.loads(text), "text": text})
    except tomllib.TOMLDecodeError as error:
        raise Stop(f"the dataset file is not TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(": ".join(filter(None, (_location(e), _message(e)))) for e in error.errors())
        raise Stop(f"the dataset file is not valid: {faults}") from error


def load_dataset(name: str) -> Dataset:
    """The dataset of this name in veleta/datasets, or in the TOML file at this path."""
    path = Path(name) if name.endswith(".toml") else Path(__file__).parent / "datasets" / f"{name}.toml"
    try:
        return parse_dataset(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(f"DATASET={name}: cannot read {path.name} ({error.strerror})") from error
    except Stop as error:
        raise Stop(f"DATASET={name}: {error}") from error


def _location(fault: Mapping[str, Any]) -> str:
    """Where the fault is in the file, as `columns.2.kind`."""
    return ".".join(map(str, fault["loc"]))


def _message(fault: Mapping[str, Any]) -> str:
    return str(fault["msg"]).removeprefix("Value error, ")


def _finite(number: float) -> float | None:
    try:
        return float(number) if math.isfinite(number) else None
    except OverflowError:
        return None  # an integer that exceeds every float
