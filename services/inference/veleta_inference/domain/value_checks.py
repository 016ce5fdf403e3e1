"""Finds values that the model has not learnt or that were not given, and those outside the dataset file's bounds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from veleta.dataset import Column, Dataset, Values
from veleta.features import column_feature, date_of_feature
from veleta.training_values import TrainingValues
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.messages import shown

NOT_GIVEN = "was not given"
LEARNT, BOUNDS = "what the model has learnt", "the bounds of the dataset file"
MAX_LISTED = 5
"""A message lists the known texts if there are at most this many."""


@dataclass(frozen=True)
class Range:
    """The lowest and the highest value of a column, and whose range it is."""

    name: str
    low: Any
    high: Any
    source: str

    def message(self, values: Values) -> str | None:
        """Why the value is unusual; None if it is not."""
        value: Any = values[self.name]
        if value is None or self.low <= value <= self.high:
            return None
        return f"{shown(value)} is outside {shown(self.low)} .. {shown(self.high)}, {self.source}"


@dataclass(frozen=True)
class KnownTexts:
    """The texts of a category that the model has learnt, or the prefixes of an identifier."""

    column: Column
    known: Collection[str]

    @property
    def name(self) -> str:
        return self.column.name

    def message(self, values: Values) -> str | None:
        """As `Range.message`."""
        text = column_feature(self.column, values[self.name])
        if text in self.known or values[self.name] is None:
            return None
        value = shown(values[self.name])
        if self.column.kind == "identifier":
            return f"{value} begins with {text} as {self.column.digits} digits, and the model has learnt no such value"
        if len(self.known) <= MAX_LISTED:
            return f"{value} is none of {', '.join(map(shown, sorted(self.known)))}, {LEARNT}"
        return f"{value} is none of the {len(self.known):,} values that the model has learnt"


@dataclass(frozen=True)
class Given:
    """A column that each row which the model has learnt had a value of."""

    name: str

    def message(self, values: Values) -> str | None:
        """As `Range.message`."""
        return f"{NOT_GIVEN}, and the model has learnt no row without it" if values[self.name] is None else None


class ValueChecks:
    """Checks the values of requests against what a model has learnt, and against the bounds of the dataset file."""

    def __init__(self, dataset: Dataset, learnt: TrainingValues | None) -> None:
        """A model of an earlier version does not say what it has `learnt`."""
        ranges, texts = (learnt.ranges, learnt.texts) if learnt else ({}, {})
        numbers = {column.name: column for column in dataset.inputs if column.kind in ("number", "date")}
        others = {column.name: column for column in dataset.inputs if column.name not in numbers}
        bounds: dict[str, tuple[Any, Any]] = {**dataset.cleaning}
        bounds |= {column.name: column.bounds for column in dataset.columns if column.bounds}
        bounds.pop(dataset.target, None)
        self._ranges = [_learnt(numbers[name], *pair) for name, pair in ranges.items() if name in numbers]
        self._ranges += [Range(name, *pair, BOUNDS) for name, pair in bounds.items()]
        self._texts = [KnownTexts(others[name], frozenset(known)) for name, known in texts.items() if name in others]
        self._given = [Given(column.name) for column in dataset.optional_features if learnt and _always(column, learnt)]
        self._not_given = [(column.name, _not_given(column)) for column in dataset.inputs if not column.required]
        # All that most rows need, without a call for each value.
        self._limits = _narrowest(self._ranges)
        self._categories = [(each.name, each.known) for each in self._texts if each.column.kind != "identifier"]
        self._prefixes = [each for each in self._texts if each.column.kind == "identifier"]

    def unusual(self, rows: Sequence[Values]) -> list[ValidationProblem]:
        """The unusual values of rows: one problem for each field."""
        return [
            problem for place, row in enumerate(rows) if not self._is_usual(row) for problem in self._all(place, row)
        ]

    def warnings(self, rows: Sequence[Values], unusual: Sequence[ValidationProblem]) -> Sequence[ValidationProblem]:
        """The `unusual` values of rows, and the fields that were not given."""
        absent = list[ValidationProblem]()
        for place, row in enumerate(rows):
            for name, message in self._not_given:
                if row[name] is None:
                    absent.append(ValidationProblem(place, name, message))
        if not absent:
            return unusual
        named = {(each.item, each.field) for each in unusual}
        others = [each for each in absent if (each.item, each.field) not in named]
        return sorted([*unusual, *others], key=lambda each: each.item)

    def _is_usual(self, row: Any) -> bool:
        for each in self._given:
            if row[each.name] is None:
                return False
        for name, (low, high) in self._limits:
            value = row[name]
            if value is not None and not low <= value <= high:
                return False
        for name, known in self._categories:
            value = row[name]
            if value is not None and value not in known:
                return False
        return all(each.message(row) is None for each in self._prefixes)

    def _all(self, place: int, row: Values) -> list[ValidationProblem]:
        found: dict[str, str] = {}
        checks: list[Range | KnownTexts | Given] = [*self._ranges, *self._texts, *self._given]
        for check in checks:
            if check.name not in found and (message := check.message(row)):
                found[check.name] = message
        return [ValidationProblem(place, name, message) for name, message in found.items()]


def _always(column: Column, learnt: TrainingValues) -> bool:
    """Whether each row that was learnt had a value of this column, as far as that is known."""
    texts = learnt.texts.get(column.name)
    return "" not in texts if texts is not None else column.name in learnt.ranges and column.name not in learnt.gaps


def _not_given(column: Column) -> str:
    return f"{NOT_GIVEN}; the model {'has learnt from rows without it' if column.is_feature else 'does not use it'}"


def _learnt(column: Column, low: float, high: float) -> Range:
    if column.kind == "date":
        return Range(column.name, date_of_feature(low), date_of_feature(high), LEARNT)
    return Range(column.name, low, high, LEARNT)


def _narrowest(ranges: Sequence[Range]) -> Sequence[tuple[str, tuple[Any, Any]]]:
    """The values of each column that are within all its ranges."""
    limits: dict[str, tuple[Any, Any]] = {}
    for each in ranges:
        low, high = limits.get(each.name, (each.low, each.high))
        limits[each.name] = max(low, each.low), min(high, each.high)
    return list(limits.items())
