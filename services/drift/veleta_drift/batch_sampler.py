"""Reads batches: the statistics of all rows, and a sample with what versions predict for it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from veleta.batches import BatchReader
from veleta.dataset import Dataset, Values
from veleta.events.catalogue import BatchClosed
from veleta.ports import EventLog
from veleta_drift.domain.row_sample import RowSample
from veleta_drift.domain.statistics import BatchSummary, ColumnValues
from veleta_drift.ports import Model


@dataclass(frozen=True)
class SampledBatch:
    """The statistics of all rows of a batch, and the clean rows of a sample."""

    summary: BatchSummary
    rows: Sequence[Values]
    _predicted: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def predicted_by(self, model: Model) -> tuple[np.ndarray, np.ndarray]:
        """What a version predicts for the sample: see `Model.predict`. It is computed once."""
        key = model.number, model.run_id
        if key not in self._predicted:
            self._predicted[key] = model.predict(self.rows)
        return self._predicted[key]


class BatchSampler(Protocol):
    """Reads the batches of one dataset. With ENGINE=spark the executors of a cluster read their rows."""

    async def read(self, manifest: BatchClosed) -> SampledBatch:
        """Read a batch, and check it against its manifest. It raises what `BatchReader.chunks` does."""


class LocalBatchSampler:
    """`BatchSampler` in this process, which has all numbers of the batch in memory."""

    def __init__(self, dataset: Dataset, event_log: EventLog, on_chunk: Callable[[], None] = lambda: None) -> None:
        """`on_chunk` is called for each chunk of rows: a sign of progress."""
        self._dataset = dataset
        self._reader = BatchReader(event_log, on_chunk)

    async def read(self, manifest: BatchClosed) -> SampledBatch:
        """See `BatchSampler.read`."""
        return await asyncio.to_thread(self._read, manifest)

    def _read(self, manifest: BatchClosed) -> SampledBatch:
        values, sample = ColumnValues(self._dataset), RowSample(self._dataset, manifest.rows)
        for rows in self._reader.chunks(manifest):
            values.add(rows)
            sample.add(rows)
        return SampledBatch(values.summary(), sample.clean())
