"""The dataset file, which declares the columns. No other code contains the name of a column."""

import hashlib
import math
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from veleta.dataset_extension import extended
from veleta.dataset_faults import consistency_faults, declared_names
from veleta.errors import Stop
from veleta.toml_document import Fault, read_toml, shown, structure_faults, valid_parts
from veleta.valid_values import NAME_PATTERN, alternatives
from veleta.values import (
    DecimalMark,
    parse_boolean,
    parse_category,
    parse_date,
    parse_date_as,
    parse_identifier,
    parse_number,
)

Kind = Literal["number", "identifier", "category", "date", "boolean"]
Policy = Literal["champion_challenger", "seed", "manual"]
Period = Literal["day", "week", "month", "quarter", "year"]
DriftPolicy = Literal["evidence", "seed", "sequential"]
Value = float | str | date | None
Row = Mapping[str, Any]
"""A row as received: column to JSON value."""
Values = dict[str, Value]
"""A typed row: float for number and identifier, str for category, date for date, `true` or `false` for boolean.

None is a missing value, or one that does not fit.
"""

MAX_TEXT = 255
"""The most characters of a category: the width of its column in MySQL."""
_SHIPPED = Path(__file__).parent / "datasets"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class Section(BaseModel):
    """A section of the dataset file. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_as_number(cls, value: object, field: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(field.field_name)].annotation is not bool:
            raise ValueError("true and false are no numbers")
        return value


class Column(Section):
    """One column: its kind, its title for people, and how it becomes a feature."""

    name: Name
    title: str
    kind: Kind
    unit: str = ""
    minimum: float | None = None
    bounds: tuple[date, date] | None = None
    feature: Literal["none", "prefix"] | None = None
    digits: int = 0
    prefix: int = 0
    header: str = ""
    """Its name in files and APIs, if that is neither its name nor its title."""
    format: str = ""
    """How a date is written in files and APIs, with the directives of `strptime`, if not as 1999-09-30."""
    missing: list[str] | None = None
    """Texts that mean that there is no value. None: those of the dataset."""
    optional: bool = Field(False, strict=True)
    """Whether a row may have no value."""

    @property
    def is_feature(self) -> bool:
        """Whether the model uses it: an identifier only by its prefix, another column unless its feature is `none`."""
        return self.feature == "prefix" if self.kind == "identifier" else self.feature != "none"

    def digits_of(self, value: Value) -> str:
        """The text of an identifier with all its digits, as `06016`. Empty if there is no value."""
        return str(int(value)).zfill(self.digits) if isinstance(value, float) else ""

    @property
    def numeric(self) -> bool:
        """Whether the data API sends it as a JSON number."""
        return self.kind in ("number", "identifier")

    @property
    def required(self) -> bool:
        """Whether a request must have a value: the model uses it, and has not learnt to do without."""
        return self.is_feature and not self.optional

    def says_missing(self, value: object) -> bool:
        """Whether a value as received says that there is none: null, or a text or number that is declared for that."""
        if value is None or not self.missing:
            return value is None
        if isinstance(value, str):
            return value.strip() in self.missing
        return self.numeric and isinstance(value, int | float) and value in self._missing_numbers

    @cached_property
    def _missing_numbers(self) -> frozenset[float]:
        """The numbers among the texts for missing values: a file with types, or JSON, has -1 and not its text."""
        numbers = (parse_number(text, self.unit) for text in self.missing or ())
        return frozenset(number for number in numbers if number is not None)

    def convert(self, value: object, mark: DecimalMark = ".") -> Value:
        """`value` in this column's type, or None if it does not fit (a word for a number, NaN, a long text).

        Text is read as `veleta.values` describes. `mark` is the decimal mark of numbers in it.
        """
        if self.missing and self.says_missing(value):
            return None
        if isinstance(value, str):
            parsed = self._parse(value, mark)
            return None if self.missing and self.numeric and parsed in self._missing_numbers else parsed
        if self.kind == "boolean":
            return parse_boolean(f"{value:g}" if isinstance(value, float) else str(value))
        return (
            _finite(value) if self.numeric and isinstance(value, int | float) and not isinstance(value, bool) else None
        )

    def fault(self, value: Value) -> str | None:
        """Why no row can have this typed value: `below 0`, or `outside 1999-01-01 .. 2030-12-31`. None if one can."""
        if self.minimum is not None and isinstance(value, float) and value < self.minimum:
            return f"below {self.minimum:g}"
        if self.bounds and isinstance(value, date) and not self.bounds[0] <= value <= self.bounds[1]:
            return f"outside {self.bounds[0]} .. {self.bounds[1]}"
        return None

    def _parse(self, text: str, mark: DecimalMark) -> Value:
        match self.kind:
            case "number":
                return parse_number(text, self.unit, mark)
            case "identifier":
                return parse_identifier(text, self.digits, mark)
            case "date":
                return parse_date_as(text, self.format) if self.format else parse_date(text)
            case "boolean":
                return parse_boolean(text)
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
        """Whether a row meets the condition. Without the value it does not."""
        value = values[self.column]
        if self.equals is not None:
            return value == self.equals
        if not isinstance(value, float):
            return False
        return (self.above is None or value > self.above) and (self.at_most is None or value <= self.at_most)


class BatchRule(Section):
    """Rows that meet all conditions belong to the batch at `place`."""

    place: int
    where: list[Condition]


class BatchesRule(Section):
    """How the rows of a file become batches without [[source]] rules: by `rows`, by a date, or else in equal parts."""

    rows: int | None = Field(None, ge=1)
    """The rows of each batch, in the order of the file."""
    by: Name | None = None
    """A date: the rows of each period are a batch, in the order of time."""
    every: Period = "month"


class MarketRule(Section):
    """A market whose level of prices is a part of the model, and moves with each batch: see `veleta.market`."""

    time: Name
    """The date of each row's own sale."""
    every: Period | None = None
    """The length of a period. None: as long as the number of rows needs."""
    max_move: float = Field(0.1, gt=0, le=0.5)
    """The share by which one batch may move the prices. A larger move waits for a second batch, or for a command."""


class PlacesRule(Section):
    """The table of places whose values become features: see `veleta.places`."""

    table: str
    """Its name, or the path of a .csv or .csv.gz file."""
    key: Name
    """The column with the key of a row's place: an identifier with `digits`, or a category."""
    city: Name | None = None
    state: Name | None = None
    """Categories by which a place is searched if its key is not in the table."""


class DerivedFeature(Section):
    """A feature that is computed from numbers of the same row. Exactly one of the two is set."""

    name: Name
    title: str
    divide: tuple[Name, Name] | None = None
    """The first column divided by the second one."""
    add: list[Name] | None = None
    """The sum of these columns."""

    @property
    def inputs(self) -> list[Name]:
        """The columns that it is computed from. Its share of an explanation belongs to the first one."""
        return list(self.divide or self.add or [])


class TrainingRule(Section):
    """How a model learns the target."""

    cap: float | None = None
    """A higher target counts as this one in training, so that few rows do not shape the prices of all others."""
    increasing: list[Name] = []
    """Numbers with which the predicted target never falls."""
    incomplete_weight: float = Field(0.5, gt=0, le=1)
    """The weight of a row without the value of an optional column. Complete rows have the weight 1."""
    growth: float = Field(0.5, gt=0)
    """A training is due after so many new rows, as a share of those that the champion learnt. The policy `seed` of
    [drift] does not use it."""


class EvaluationRule(Section):
    """The parts of the holdout on which models are measured too."""

    slices: list[Name] = []
    """Categories: each of their values is a slice."""
    bands: list[float] = []
    """Bounds between bands of the target, in ascending order: each band is a slice."""


class PromotionRule(Section):
    """When a new version replaces the champion."""

    policy: Policy = "champion_challenger"


class DriftRule(Section):
    """When a training is due. All policies are computed for each batch, and `policy` decides."""

    ignore: list[Name] = []
    """Columns that drift does not compare."""
    policy: DriftPolicy = "evidence"
    false_alarms: float = Field(0.05, gt=0, lt=0.5)
    """The most batches with a false alarm, as a share (`evidence`), or the probability of one at all (`sequential`)."""
    bias: float = Field(0.02, ge=0)
    """A smaller change of the mean of log(price) - log(prediction) does not matter."""
    growth: float = Field(0.05, ge=0)
    """A smaller growth of the median error does not matter."""
    distance: float = Field(0.1, ge=0)
    """A smaller change of a number's distribution does not matter: its Wasserstein distance in standard deviations."""
    variation: float = Field(0.05, ge=0)
    """A smaller change of a category's shares does not matter: their total variation."""
    expected_growth: float = Field(0.1, ge=0)
    """With other rows, a training is due if the expected errors grew by this share."""
    unknown: float = Field(0.05, ge=0)
    """With other rows, a training is due if so many more of them have a value that the champion has not learnt."""
    tolerance: float = Field(0.05, ge=0)
    """By which share the champion's risk may grow (`sequential`)."""
    weights: Literal["equal", "importance"] = "equal"
    """Whether columns count by their share of the champion's explanations (`evidence`)."""


class Dataset(Section):
    """The whole file. `text` is its source, `digest` identifies this version of it."""

    name: Name
    title: str
    target: Name
    identity: list[Name] = []
    """The columns that identify one thing. Empty: all inputs together do."""
    missing: list[str] = []
    """Texts that mean that there is no value, in each column that does not have its own."""
    columns: list[Column]
    places: PlacesRule | None = None
    features: list[DerivedFeature] = []
    training: TrainingRule = TrainingRule()
    evaluation: EvaluationRule = EvaluationRule()
    promotion: PromotionRule = PromotionRule()
    cleaning: dict[Name, tuple[float, float]] = {}
    drift: DriftRule = DriftRule()
    example: dict[Name, Any]
    source: list[BatchRule] = []
    batches: BatchesRule = BatchesRule()
    market: MarketRule | None = None
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
    def batches_by_target(self) -> int:
        """The number of batches whose rows the rules choose, if a rule names the target. Otherwise 0."""
        by_target = any(each.column == self.target for rule in self.source for each in rule.where)
        return len(self.source) if by_target else 0

    @property
    def inputs(self) -> list[Column]:
        """The columns of a prediction request: all but the target."""
        return [c for c in self.columns if c.name != self.target]

    @cached_property
    def optional_features(self) -> list[Column]:
        """The inputs that reach the model and may be missing."""
        return [c for c in self.inputs if c.optional and c.is_feature]

    def convert(self, row: Row) -> tuple[Values, dict[str, Any]]:
        """The typed row, and the rest: values that fit no column, under their received names."""
        values = {name: column.convert(row.get(name)) for name, column in self.by_name.items()}
        rest = {k: v for k, v in row.items() if v is not None and values.get(k) is None}
        return values, rest

    @model_validator(mode="after")
    def _missing_in_each_column(self) -> Self:
        """Give each column without texts for missing values those of the dataset."""
        if self.missing:
            marked = [c.model_copy(update={"missing": self.missing}) if c.missing is None else c for c in self.columns]
            self.columns[:] = marked
        return self

    @model_validator(mode="after")
    def _example_as_json(self) -> Self:
        """Convert the example to the values of a row as received: a model's signature is inferred from it."""
        for name, value in self.example.items():
            text = value.isoformat() if isinstance(value, date) else value
            column = self.by_name.get(name)
            converted = column.convert(text) if column else None
            if column is None or converted is None:
                self.example[name] = text
            elif column.kind == "boolean":
                self.example[name] = converted == "true"
            else:
                self.example[name] = converted.isoformat() if isinstance(converted, date) else converted
        return self


class _Draft(Dataset):
    """What remains of a dataset file without its invalid parts, so that the rest is checked too."""

    name: str = ""
    title: str = ""
    target: str = ""
    columns: list[Column] = []
    example: dict[str, Any] = {}


def parse_dataset(text: str) -> Dataset:
    """The dataset that a text declares. Only its structure is checked: it may be older than a rule of a start.

    Raises:
        Stop: the text is not TOML or has another structure. The message has a line for each fault.
    """
    document = read_toml(text)
    try:
        return Dataset.model_validate({**document, "text": text})
    except ValidationError as error:
        raise Stop("\n".join(structure_faults(Dataset, document, error.errors()))) from error


def load_dataset(name: str) -> Dataset:
    """The dataset of this name in veleta/datasets, or in the TOML file at this path.

    Raises:
        Stop: the file cannot be read or breaks a rule. The message has a line for each fault.
    """
    path = Path(name) if name.endswith(".toml") else _SHIPPED / f"{name}.toml"
    if not name.endswith(".toml") and not path.is_file():
        raise Stop(f"DATASET={name}: there is no such dataset: use {_shipped()}, or the path of a .toml file")
    if path.exists() and not path.is_file():
        raise Stop(f"DATASET={name}: this is no file: use the path of a .toml file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise Stop(f"DATASET={name}: line {line}: byte {byte:#04x} is not UTF-8: save the file as UTF-8") from error
    except OSError as error:
        raise Stop(f"DATASET={name}: cannot read {path.name} ({error.strerror})") from error
    try:
        return _checked(_extended(text))
    except Stop as error:
        raise Stop("\n".join(f"{path.name}: {fault}" for fault in str(error).splitlines())) from error


def datasets_with_gaps(name: str) -> list["Dataset"]:
    """The shipped datasets that extend the one of this name, and have optional columns."""
    others = {path.stem: read_toml(path.read_text(encoding="utf-8")) for path in sorted(_SHIPPED.glob("*.toml"))}
    extensions = [other for other, document in others.items() if document.get("extends") == name]
    return [dataset for dataset in map(load_dataset, extensions) if dataset.optional_features]


def shipped_datasets() -> list[str]:
    """The names of the datasets in veleta/datasets."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def _shipped() -> str:
    return alternatives(shipped_datasets())


def _extended(text: str) -> str:
    """The text of a dataset file with all that it takes from the shipped one which it `extends`. Raises Stop."""
    document = read_toml(text)
    if "extends" not in document:
        return text
    if (name := document["extends"]) not in shipped_datasets():
        raise Stop(f"extends = {shown(name)}: there is no such dataset: use {_shipped()}")
    base = (_SHIPPED / f"{name}.toml").read_text(encoding="utf-8")
    return extended(read_toml(_extended(base)), document)


def _checked(text: str) -> Dataset:
    document, errors = read_toml(text), list[Fault]()
    try:
        dataset = Dataset.model_validate({**document, "text": text})
    except ValidationError as error:
        errors = list(error.errors())
        dataset = _Draft.model_validate({**valid_parts(document, errors), "text": text})
    broken = {str(error["loc"][0]) for error in errors}
    consistency = consistency_faults(dataset, declared_names(document), broken)
    if faults := [*structure_faults(Dataset, document, errors), *consistency]:
        raise Stop("\n".join(faults))
    return dataset


def _finite(number: float) -> float | None:
    try:
        return float(number) if math.isfinite(number) else None
    except OverflowError:
        return None  # an integer that exceeds every float
