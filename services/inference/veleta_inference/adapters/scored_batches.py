"""The rows of a file as Arrow has them, with their prices in added columns."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from veleta.column_names import column_key
from veleta.dataset import Dataset
from veleta.input.parquet_table import cells_of
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.row_scorer import RowScorer
from veleta_inference.domain.served_market import AS_OF

CLASH = "predicted_"
"""How the name of an added column begins if the file has a column with its name."""
_MARKET = [(AS_OF, pa.date32()), ("market_factor", pa.float64()), ("market_since", pa.string())]


class ScoredBatch(NamedTuple):
    """The rows that have a price, with the added columns. `problems` has what is wrong with the others."""

    batch: pa.RecordBatch
    problems: Sequence[ValidationProblem]


def added_columns(dataset: Dataset, header: Sequence[str]) -> pa.Schema:
    """The columns that are added to a file with this header. They have the names that responses have.

    The price has the name of the target. Those of the market are added if the dataset has one.
    """
    columns = [(dataset.target, pa.float64()), ("low", pa.float64()), ("high", pa.float64())]
    columns += [*(_MARKET if dataset.market else ()), ("model_version", pa.int64()), ("warnings", pa.string())]
    taken = {column_key(name) for name in header}
    return pa.schema([(f"{CLASH}{name}" if column_key(name) in taken else name, kind) for name, kind in columns])


def score_batch(scorer: RowScorer, batch: pa.RecordBatch, added: pa.Schema) -> ScoredBatch:
    """Score rows whose columns are those of the scorer's layout. `added` is from `added_columns`."""
    scores = scorer.score(cells_of(batch))
    rows = batch.take(pa.array(scores.places, pa.int64())) if scores.problems else batch
    levels = scores.levels
    market = [[each and each.as_of for each in levels], [each and each.factor for each in levels],
              [each and each.since for each in levels]]  # fmt: skip
    values: list[list[object]] = [
        [each.value for each in scores.predictions],
        [each.low for each in scores.predictions],
        [each.high for each in scores.predictions],
        *(market if scorer.dataset.market else ()),
        [scorer.version] * len(levels),
        [text or None for text in scores.warnings],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(values, added, strict=True)]
    scored = pa.record_batch([*rows.columns, *arrays], schema=pa.schema([*batch.schema, *added]))
    return ScoredBatch(scored, scores.problems)
