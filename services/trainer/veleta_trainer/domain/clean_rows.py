"""Clean rows by column, as Arrow tables: so a million rows fit in memory, and a batch in a file."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Self

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from veleta.cleaning import rejection
from veleta.dataset import Dataset, Row, Values
from veleta.features import Feature, Features, property_hash
from veleta.training_values import TrainingValues
from veleta_trainer.domain.labelled_rows import LabelledRows

FORMAT = 1
"""Increases with each change of what a table contains, and of which rows are clean: files of others are not read."""
TARGET, PROPERTY, PLACE, DAY = "@target", "@property", "@place", "@day"
"""Columns beside the features, whose names never begin so: the target, the hash of the property, the columns that
decide about the place, as a JSON list, and the number of the day of the sale, if the dataset has a market."""
MAX_TEXTS = 100_000
"""If a column has more texts than this, the model's file contains none of them: it would grow by many megabytes."""


class ColumnBuilder:
    """Collects clean rows, and makes a table of them.

    The table has the features of the rows themselves (float64, or dictionaries of text), TARGET, PROPERTY, PLACE and,
    with a market, DAY. It has no features of places, because a million rows have some ten thousand places.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._features = Features(dataset)
        own = [each for each in self._features.infos if each.name not in self._features.place_names]
        self._values: dict[str, list[str] | array[float]] = {
            each.name: [] if each.categorical else array("d") for each in own
        }
        self._columns = list(self._values.values())
        self._place_of = itemgetter(*columns) if (columns := self._features.place_columns) else lambda _values: None
        self._places: dict[Any, int] = {}
        self._positions, self._prices, self._properties = array("i"), array("d"), array("Q")
        self._days = array("i")
        self._time = dataset.market.time if dataset.market else None

    def append(self, values: Values) -> None:
        """Append a clean row."""
        for column, feature in zip(self._columns, self._features.own_of(values), strict=True):
            column.append(feature)  # type: ignore[arg-type]  # lists hold text, arrays hold numbers
        self._positions.append(self._places.setdefault(self._place_of(values), len(self._places)))
        self._prices.append(values[self._dataset.target])  # type: ignore[arg-type]  # the target of a clean row
        self._properties.append(property_hash(self._dataset, values))
        if self._time:
            self._days.append(values[self._time].toordinal())  # type: ignore[union-attr]  # the date of a clean row

    def table(self) -> pa.Table:
        """The rows, in their order."""
        places = pa.array([orjson.dumps(place).decode() for place in self._places], pa.string())
        return pa.table(
            {
                **{name: _arrow(values) for name, values in self._values.items()},
                PLACE: pa.DictionaryArray.from_arrays(np.array(self._positions, np.int32), places),
                TARGET: np.array(self._prices, np.float64),
                PROPERTY: np.array(self._properties, np.uint64),
                **({DAY: np.array(self._days, np.int32)} if self._time else {}),
            }
        )


@dataclass(frozen=True)
class CleanBatch:
    """The clean rows of a batch, as a table of `ColumnBuilder`, and the numbers of all rows and of rejected ones."""

    table: pa.Table
    received: int
    rejected: Mapping[str, int]
    """By reason."""

    @classmethod
    def of_rows(cls, dataset: Dataset, chunks: Iterable[Iterable[Row]]) -> Self:
        """Clean the rows of a batch as they were received, chunk by chunk. An error of `chunks` passes."""
        builder, received, rejected = ColumnBuilder(dataset), 0, Counter[str]()
        for rows in chunks:
            for row in rows:
                values, _ = dataset.convert(row)
                received += 1
                if reason := rejection(dataset, values):
                    rejected[reason] += 1
                else:
                    builder.append(values)
        return cls(builder.table(), received, rejected)


class CleanRows:
    """The features, prices and properties of clean rows. It needs no Arrow table afterwards: a fit needs the memory."""

    def __init__(self, dataset: Dataset, tables: Sequence[pa.Table]) -> None:
        """`tables` are those of `ColumnBuilder` for this dataset; their rows follow each other."""
        self._features = features = Features(dataset)
        joined = pa.concat_tables([ColumnBuilder(dataset).table().slice(0, 0), *tables]).unify_dictionaries()
        own = {
            info: joined.column(info.name).combine_chunks()
            for info in features.infos
            if info.name not in features.place_names
        }
        places = self._place_columns(joined.column(PLACE).combine_chunks())
        self._frame = pd.DataFrame({info.name: _pandas(column) for info, column in own.items()} | places, copy=False)
        self._prices = np.array(joined.column(TARGET))
        self._properties = np.array(joined.column(PROPERTY))
        self._days = np.array(joined.column(DAY)) if dataset.market else None
        learnt = {info: column for info, column in own.items() if info.is_column}
        self._texts = {info.name: sorted(_used(column)) for info, column in learnt.items() if info.categorical}
        numbers = {info.name: np.asarray(column) for info, column in learnt.items() if not info.categorical}
        self._gaps = [name for name, values in numbers.items() if np.isnan(values).any()]
        self._ranges = {name: _range(values) for name, values in numbers.items()}

    def __len__(self) -> int:
        return len(self._prices)

    def frame(self) -> pd.DataFrame:
        """The features, one column each, in the order of `Features`. Numbers are float32, as CatBoost has them."""
        return self._frame

    def training_values(self) -> TrainingValues:
        """The range or the texts of each column that is a feature, for the model's file. There must be rows."""
        return TrainingValues(
            ranges={name: found for name, found in self._ranges.items() if found},
            texts={name: known for name, known in self._texts.items() if len(known) <= MAX_TEXTS},
            gaps=self._gaps,
        )

    def outside(self, learnt: TrainingValues) -> np.ndarray:
        """Which rows, as a mask, have a value that is not `learnt`: those for which inference has a warning."""
        found = np.zeros(len(self), dtype=bool)
        for name, (low, high) in learnt.ranges.items():
            # Rounded as the frame is.
            inside = self._frame[name].between(np.float32(low), np.float32(high))
            found |= ~(inside | self._frame[name].isna() if name in learnt.gaps else inside).to_numpy()
        for name, known in learnt.texts.items():
            found |= ~self._frame[name].isin(known).to_numpy()
        return found

    def prices(self) -> np.ndarray:
        """The target of each row, float64."""
        return self._prices

    def properties(self) -> np.ndarray:
        """The hash of each row's property, uint64: see `property_hash`."""
        return self._properties

    def labelled(self) -> LabelledRows:
        """The rows as a model learns them, or is measured on them."""
        return LabelledRows(self._frame, self._prices, self._properties, self._days)

    def _place_columns(self, places: pa.DictionaryArray) -> "dict[str, pd.Series[Any]]":
        if not self._features.place_names:
            return {}
        keys = [orjson.loads(key) for key in places.dictionary.to_pylist()]
        found = [self._features.place_of(self._place_values(key)) for key in keys]
        columns = zip(*found, strict=True) if found else ([] for _ in self._features.place_names)
        positions = np.asarray(places.indices)
        names = self._features.place_names
        return {name: _of_places(list(values), positions) for name, values in zip(names, columns, strict=True)}

    def _place_values(self, key: Any) -> Values:
        columns = self._features.place_columns
        return dict(zip(columns, key if len(columns) > 1 else [key], strict=True))


def _range(numbers: np.ndarray) -> tuple[float, float] | None:
    """The lowest and the highest number, without NaN. None if there is none."""
    known = numbers[~np.isnan(numbers)]
    return (float(known.min()), float(known.max())) if len(known) else None


def _arrow(values: "list[str] | array[float]") -> pa.Array:
    if isinstance(values, list):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(np.array(values, np.float64))


def _pandas(column: pa.Array) -> "pd.Series[Any]":
    if not isinstance(column, pa.DictionaryArray):
        return pd.Series(np.asarray(column).astype(np.float32))
    return _categories(column.dictionary.to_pylist(), np.asarray(column.indices))


def _used(column: pa.DictionaryArray) -> list[str]:
    """The texts of a column. Its dictionary may have others: those of rows that were filtered out."""
    return list(column.dictionary.take(column.indices.unique()).to_pylist())


def _of_places(values: list[Feature], positions: np.ndarray) -> "pd.Series[Any]":
    if any(isinstance(value, str) for value in values):
        return _categories(values, positions)
    return pd.Series(np.array(values, dtype=np.float32)[positions])


def _categories(texts: Sequence[Feature], positions: np.ndarray) -> "pd.Series[Any]":
    """The texts at these positions, as categories that are all used, in alphabetical order."""
    codes, sorted_texts = pd.factorize(np.array(texts, dtype=object), sort=True)
    found = pd.Categorical.from_codes(codes[positions], pd.Index(sorted_texts, dtype=object))
    return pd.Series(found.remove_unused_categories())
