"""Measures the champion on batches, in a child process."""

import asyncio
import json
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path

from veleta.adapters.module_process import run_module
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry, one_line
from veleta.events.catalogue import BatchClosed
from veleta.market_levels import LevelHistory
from veleta.ports import Registry, Version
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.adapters.child_protocol import (
    BATCH,
    DATASET_FILE,
    LEVELS,
    MAX_ERROR_CHARACTERS,
    MEASURES,
    MODEL,
    UNAVAILABLE,
)
from veleta_trainer.domain.interval_level import BatchMeasures

MEASURE_SECONDS = 600.0
"""Until the child process must have measured a batch."""


@dataclass
class ChildProcessMeasurer:
    """`BatchMeasurer` by `python -m veleta_trainer.measure_batch`. Its folder has the model of the last version."""

    _dataset: Dataset
    _registry: Registry
    _cache: BatchFiles
    _folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="veleta-measured-")))
    _downloaded: Version | None = None

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    async def measure(
        self, version: Version, manifest: BatchClosed, level: float, history: LevelHistory
    ) -> BatchMeasures | None:
        """See `BatchMeasurer.measure`. A cancellation ends the child process."""
        await asyncio.to_thread(self._download, version)
        (self._folder / BATCH).write_text(manifest.model_dump_json())
        (self._folder / LEVELS).write_text(history.model_dump_json())
        await _run(str(self._folder), str(level), *self._cache.arguments)
        measures = json.loads((self._folder / MEASURES).read_text())
        return BatchMeasures(**measures) if measures else None

    def _download(self, version: Version) -> None:
        """Download the model of a version, which replaces that of another one. Raises Retry and Reject."""
        if self._downloaded != version:
            self._registry.download_native(version, self._folder).rename(self._folder / MODEL)
            (self._folder / DATASET_FILE).write_text(self._dataset.text, encoding="utf-8")
            self._downloaded = version


async def _run(*arguments: str) -> None:
    try:
        code, errors = await run_module("veleta_trainer.measure_batch", *arguments, seconds=MEASURE_SECONDS)
    except TimeoutError as error:
        raise Reject("the batch cannot be measured", f"it takes longer than {MEASURE_SECONDS:g} s") from error
    reason = errors[-MAX_ERROR_CHARACTERS:]
    if code == UNAVAILABLE:
        raise Retry("kafka", reason)
    if code != 0:
        raise Reject("the batch cannot be measured", f"the process ended with {code}: {one_line(reason)}")
