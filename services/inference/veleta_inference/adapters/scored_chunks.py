"""Scores chunks of a file: all that a chunk adds to the output. Both engines do it by this code."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from veleta.adapters.booster import NativeBooster
from veleta.input.parquet_table import cells_of
from veleta_inference.adapters.input_chunks import Chunk, RowFault
from veleta_inference.adapters.scored_batches import score_batch
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.file_rows import Layout
from veleta_inference.domain.row_scorer import ModelSnapshot, RowScorer


@dataclass(frozen=True)
class ScoringJob:
    """What all chunks of a file have in common. `model` is the CatBoost file, and `added` has the added columns."""

    snapshot: ModelSnapshot
    model: Path
    layout: Layout
    added: pa.Schema
    out: Path
    strict: bool


class ScoredChunk(NamedTuple):
    """The content of a chunk's files in the format of the output, and the number of its rows without a price."""

    rows: bytes
    faults: bytes
    refused: int

    @classmethod
    def of(cls, batch: pa.RecordBatch, faults: Sequence[RowFault], suffix: str) -> "ScoredChunk":
        """That of rows with prices, and of what is wrong with the others. `suffix` is .csv or .parquet."""
        rows = _as_parquet(batch) if suffix == ".parquet" else as_csv(cells_of(batch))
        return cls(rows, as_csv(map(astuple, faults)), len({fault.row for fault in faults}))


class ChunkScorer:
    """Scores the chunks of one job. It depends on nothing but the job, so it may be in any process."""

    def __init__(self, job: ScoringJob) -> None:
        self._job = job
        self._scorer = RowScorer(job.snapshot, NativeBooster(job.model), job.layout, strict=job.strict)

    def score(self, chunk: Chunk) -> ScoredChunk:
        """Score the rows of a chunk."""
        scored = score_batch(self._scorer, chunk.batch, self._job.added)
        faults = [*chunk.faults, *(_fault(chunk, problem) for problem in scored.problems)]
        return ScoredChunk.of(scored.batch, sorted(faults, key=lambda fault: fault.row), self._job.out.suffix)


def as_csv(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as lines of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _as_parquet(batch: pa.RecordBatch) -> bytes:
    content = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([batch]), content)
    return bytes(content.getvalue())


def _fault(chunk: Chunk, problem: ValidationProblem) -> RowFault:
    line = chunk.lines[problem.item] if chunk.lines else None
    return RowFault(chunk.rows[problem.item], line, problem.field, problem.message)
