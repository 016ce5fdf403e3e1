"""Measures the champion on batches, in a child process."""

import asyncio
import json
import shutil
import sys
import tempfile
import weakref
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass, field
from pathlib import Path

from veleta.dataset import Dataset
from veleta.errors import Reject, Retry, one_line
from veleta.events.catalogue import BatchClosed
from veleta.ports import Registry, Version
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.adapters.child_protocol import (
    BATCH,
    DATASET_FILE,
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

    async def measure(self, version: Version, manifest: BatchClosed, level: float) -> BatchMeasures | None:
        """See `BatchMeasurer.measure`. A cancellation ends the child process."""
        await asyncio.to_thread(self._download, version)
        (self._folder / BATCH).write_text(manifest.model_dump_json())
        await _run("-m", "veleta_trainer.measure_batch", str(self._folder), str(level), *self._cache.arguments)
        measures = json.loads((self._folder / MEASURES).read_text())
        return BatchMeasures(**measures) if measures else None

    def _download(self, version: Version) -> None:
        """Download the model of a version, which replaces that of another one. Raises Retry and Reject."""
        if self._downloaded != version:
            self._registry.download_native(version, self._folder).rename(self._folder / MODEL)
            (self._folder / DATASET_FILE).write_text(self._dataset.text, encoding="utf-8")
            self._downloaded = version


async def _run(*arguments: str) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=DEVNULL, stderr=PIPE)
    try:
        async with asyncio.timeout(MEASURE_SECONDS):
            _, errors = await child.communicate()
    except TimeoutError as error:
        raise Reject("the batch cannot be measured", f"it takes longer than {MEASURE_SECONDS:g} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    reason = errors.decode(errors="replace").strip()[-MAX_ERROR_CHARACTERS:]
    if child.returncode == UNAVAILABLE:
        raise Retry("kafka", reason)
    if child.returncode != 0:
        raise Reject("the batch cannot be measured", f"the process ended with {child.returncode}: {one_line(reason)}")
