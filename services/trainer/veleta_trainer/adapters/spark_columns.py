"""Clean rows in Spark: tables of `ColumnBuilder` with the place of each row, in types that Spark has."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from veleta.dataset import Dataset
from veleta.features import is_held_out
from veleta_trainer.domain.clean_rows import PROPERTY, ColumnBuilder
from veleta_trainer.domain.row_limit import bucket_of

BATCH, ROW, HELD, BUCKET = "batch", "row", "held", "bucket"
"""The position of the batch in the recipe, and that of the row in the batch, which give the order of a training;
whether the row belongs to the holdout; and its bucket: see `row_limit`."""
ADDED = {BATCH: pa.int32(), ROW: pa.int64(), HELD: pa.bool_(), BUCKET: pa.int32()}
_SQL = {
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.string(): "string",
    pa.binary(): "binary",
}


class SparkColumns:
    """The columns of a dataset's clean rows. Their names are numbered, because Spark forbids some names."""

    def __init__(self, dataset: Dataset, more: Sequence[tuple[str, pa.DataType]] = ()) -> None:
        """`more` are columns after those of `ColumnBuilder`."""
        self._own = ColumnBuilder(dataset).table().schema
        self._more = more

    @cached_property
    def types(self) -> dict[str, pa.DataType]:
        """The type of each column in Spark, by its name there."""
        own = {f"c{number}": _spark_type(each.type) for number, each in enumerate(self._own)}
        return {**ADDED, **own, **dict(self._more)}

    @property
    def sql(self) -> str:
        """The columns as `mapInArrow` wants them."""
        return ", ".join(f"{name} {_SQL[kind]}" for name, kind in self.types.items())

    def record_batch(self, table: pa.Table, batch: int, rows: np.ndarray) -> pa.RecordBatch:
        """Rows for Spark. `rows` has the position of each in its batch. The columns `more` are missing."""
        properties = np.asarray(table.column(PROPERTY))
        added = np.full(len(table), batch), rows, is_held_out(properties), bucket_of(properties)
        columns = [pa.array(values, kind) for values, kind in zip(added, ADDED.values(), strict=True)]
        columns += [_to_spark(column.combine_chunks()) for column in table.columns]
        return pa.RecordBatch.from_arrays(columns, names=[*self.types][: len(columns)])

    def table(self, batches: Iterable[pa.RecordBatch]) -> pa.Table:
        """The rows that Spark gives: all columns by their names here, with the types of `ColumnBuilder`."""
        names = [*ADDED, *self._own.names, *(name for name, _ in self._more)]
        kinds = {each.name: each.type for each in self._own}
        converted = [
            pa.RecordBatch.from_arrays(
                [_from_spark(column, kinds.get(name)) for column, name in zip(batch.columns, names, strict=True)], names
            )
            for batch in batches
        ]
        if converted:
            return pa.Table.from_batches(converted).unify_dictionaries()
        all_kinds = [kinds.get(name, kind) for name, kind in zip(names, self.types.values(), strict=True)]
        return pa.schema(list(zip(names, all_kinds, strict=True))).empty_table()


def _spark_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.int64() if kind == pa.uint64() else kind


def _to_spark(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.DictionaryArray):
        return column.dictionary_decode()
    return column.view(pa.int64()) if column.type == pa.uint64() else column


def _from_spark(column: pa.Array, kind: pa.DataType | None) -> pa.Array:
    """A column with the type that `ColumnBuilder` gives it, if it is one of its columns."""
    if kind is None:
        return column
    if pa.types.is_dictionary(kind):
        return column.dictionary_encode()
    return column.view(kind) if kind == pa.uint64() else column
