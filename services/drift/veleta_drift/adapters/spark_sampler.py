"""Reads batches on a Spark cluster, by a child process that is the driver."""

import asyncio
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from veleta.adapters.module_process import run_module
from veleta.adapters.spark_master import require_master
from veleta.batches import BatchReader, RowsDeleted
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry
from veleta.events.catalogue import BatchClosed, OffsetRange
from veleta.service.health import ServiceHealth
from veleta.timeouts import CHECK_SECONDS
from veleta_drift.batch_sampler import SampledBatch

BATCH, FOUND = "batch.pickle", "found.pickle"
"""The files in the folder of the child process: what it reads, and what it writes."""
READ_SECONDS = 3_600.0
"""Until a batch must have been read. The cluster may be busy with a fit."""
MAX_ERROR_CHARACTERS = 2_000
"""The characters of a child's stderr that an error has: the last ones."""
DELETE_ATTEMPTS, DELETE_SECONDS = 20, 0.5
"""How often the folder of a driver is deleted, and the pause between two attempts."""
log = structlog.get_logger()


@dataclass
class SparkBatchSampler:
    """`BatchSampler` by `python -m veleta_drift.read_on_spark`. This process gets only the statistics and the sample.

    A session ends with its batch, because it holds the cores of the cluster that others wait for.
    """

    _dataset: Dataset
    _reader: BatchReader
    _master: str
    _health: ServiceHealth

    async def read(self, manifest: BatchClosed) -> SampledBatch:
        """See `BatchSampler.read`.

        Raises:
            Retry: also if the cluster is unavailable, or the child process was killed.
            asyncio.CancelledError: the service is stopping. The child process has ended.
        """
        await asyncio.to_thread(require_master, self._master)
        located = await asyncio.to_thread(self._reader.located, manifest)
        folder = Path(tempfile.mkdtemp(prefix="veleta-batch-"))
        try:
            return await self._read(folder, manifest, located)
        except (Reject, RuntimeError):
            # Also a batch that is deleted while it is read.
            if await asyncio.to_thread(self._reader.deleted, manifest.dataset, [manifest]):
                raise RowsDeleted(manifest.batch) from None
            raise
        finally:
            await asyncio.to_thread(_delete, folder)

    async def _read(self, folder: Path, manifest: BatchClosed, located: Sequence[OffsetRange]) -> SampledBatch:
        (folder / BATCH).write_bytes(pickle.dumps((self._dataset.text, manifest, located)))
        log.info("reading on the cluster", batch=manifest.batch, master=self._master)
        await self._run(folder)
        found = pickle.loads((folder / FOUND).read_bytes())  # noqa: S301 - from the child process
        if isinstance(found, Reject):
            raise found
        return SampledBatch(*found)

    async def _run(self, folder: Path) -> None:
        """Run the child process until it ends, or the service stops."""
        # A Java process that has just started does not notice the end of the driver.
        driver = run_module("veleta_drift.read_on_spark", str(folder), seconds=READ_SECONDS, with_children=True)
        running = asyncio.ensure_future(driver)
        stopping = asyncio.ensure_future(self._health.stopping.wait())
        try:
            while not running.done():
                self._health.heartbeat()
                await asyncio.wait({running, stopping}, timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    raise asyncio.CancelledError("stopping")
            _check_end(*running.result())
        except TimeoutError as error:
            raise Retry("spark", f"a batch was not read within {READ_SECONDS:g} s") from error
        finally:
            stopping.cancel()
            running.cancel()
            await asyncio.wait({running})


def _delete(folder: Path) -> None:
    """Delete a folder. The Java process of the driver may write to it until it has ended. It blocks."""
    for _ in range(DELETE_ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(DELETE_SECONDS)


def _check_end(code: int, errors: str) -> None:
    if code == os.EX_TEMPFAIL:
        dependency, _, reason = errors.partition(": ")
        raise Retry(dependency, reason)
    if code < 0:
        raise Retry("spark", f"the driver was killed by signal {-code}")
    if code:
        raise RuntimeError(f"the driver ended with {code}: {errors[-MAX_ERROR_CHARACTERS:]}")
