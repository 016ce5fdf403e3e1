"""Reads batches on a Spark cluster, by a child process that is the driver."""

import asyncio
import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from veleta.adapters.module_process import run_module
from veleta.adapters.process_group import delete_folder
from veleta.adapters.spark_master import require_master
from veleta.batches import BatchReader, RowsDeleted
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry
from veleta.events.catalogue import BatchClosed, OffsetRange
from veleta.service.health import NO_CORES, ServiceHealth
from veleta.timeouts import CHECK_SECONDS
from veleta_drift.batch_sampler import SampledBatch

BATCH, FOUND = "batch.pickle", "found.pickle"
"""The files in the folder of the child process: what it reads, and what it writes."""
WAITS = "waits"
"""Is in the folder while the child process has no executor of the cluster."""
READ_SECONDS = 3_600.0
"""Until a batch must have been read. The cluster may be busy with a fit."""
MAX_ERROR_CHARACTERS = 2_000
"""The characters of a child's stderr that an error has: the last ones."""
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
            await asyncio.to_thread(delete_folder, folder)

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
        driver = run_module("veleta_drift.read_on_spark", str(folder), seconds=READ_SECONDS)
        running = asyncio.ensure_future(driver)
        stopping = asyncio.ensure_future(self._health.stopping.wait())
        try:
            while not running.done():
                self._health.heartbeat()
                self._show_waiting((folder / WAITS).exists())
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
            self._show_waiting(False)

    def _show_waiting(self, waits: bool) -> None:
        self._health.set_warning("spark", f"{NO_CORES}: the report of a batch waits" if waits else "")


def _check_end(code: int, errors: str) -> None:
    if code == os.EX_TEMPFAIL:
        dependency, _, reason = errors.partition(": ")
        raise Retry(dependency, reason)
    if code < 0:
        raise Retry("spark", f"the driver was killed by signal {-code}")
    if code:
        raise RuntimeError(f"the driver ended with {code}: {errors[-MAX_ERROR_CHARACTERS:]}")
