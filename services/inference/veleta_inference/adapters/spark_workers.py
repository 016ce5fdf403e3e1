"""Tasks of Apache Spark that score the chunks of a file. It needs the extra `spark`.

Only the driver reads the file and writes the folder of the job, so executors may be on other machines.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from pyspark import Broadcast, SparkContext

from veleta.adapters.spark import SPARK_ERRORS, spark_session, watched_executors
from veleta.adapters.spark_master import require_master
from veleta.errors import Retry, Stop
from veleta.service.health import NO_CORES
from veleta.settings import SparkSettings
from veleta_inference.adapters.chunk_workers import ChunkWorkers
from veleta_inference.adapters.input_chunks import Chunk
from veleta_inference.adapters.score_folder import ScoreFolder
from veleta_inference.adapters.scored_chunks import ChunkScorer, ScoredChunk, ScoringJob

MAX_CHUNKS = 64
"""Chunks that are sent at once. One process reads the file, and more cores would wait for it."""
_CHUNKS_PER_CORE = 2
"""A core has the next chunk while the result of the last one is sent."""
SharedJob: TypeAlias = "Broadcast[tuple[ScoringJob, bytes]]"
"""The job and its model's file. An executor gets them once."""


@contextlib.contextmanager
def spark_workers(
    settings: SparkSettings, job: ScoringJob, folder: ScoreFolder, report: Callable[[str], None]
) -> Iterator[ChunkWorkers]:
    """Workers on the master of the settings, for as long as the block runs. `report` gets a line if they must wait.

    Raises:
        Stop: no master answers, or the session cannot start.
    """
    scratch = folder.path / "spark"
    shutil.rmtree(scratch, ignore_errors=True)  # of a job that was killed

    def report_executors(waits: bool) -> None:
        if waits:
            report(f"{NO_CORES}: waits")

    try:
        with (
            spark_session(settings, None, "score", scratch, folder.path / "spark.log") as spark,
            watched_executors(spark, report_executors),
        ):
            workers = _SparkWorkers(settings.master, spark.sparkContext, job, folder)
            try:
                yield workers
            finally:
                workers.close()
    except Retry as unavailable:
        raise Stop(str(unavailable)) from unavailable


class _SparkWorkers(ChunkWorkers):
    """Each chunk is a job with one task: a chunk that is complete is stored at once, whatever the others do."""

    def __init__(self, master: str, context: SparkContext, job: ScoringJob, folder: ScoreFolder) -> None:
        super().__init__(MAX_CHUNKS, _limit(context))
        self._master = master
        self._context = context
        self._folder = folder
        self._job: SharedJob = context.broadcast((job, job.model.read_bytes()))

    def close(self) -> None:
        """End the tasks. A chunk that is not complete is scored again by the next job."""
        with contextlib.suppress(*SPARK_ERRORS, OSError):  # the Java process may have ended
            self._context.cancelAllJobs()
        self._threads.shutdown(cancel_futures=True)

    def _score(self, chunk: Chunk) -> Chunk:
        try:
            sent = self._context.broadcast(chunk)
            [scored] = self._context.parallelize([None], 1).map(_Task(self._job, sent)).collect()
            sent.destroy()
            self._limit = _limit(self._context)  # executors come and go
        except (*SPARK_ERRORS, OSError) as error:
            raise self._stop(chunk) from error
        self._folder.write(chunk.first, scored)
        return chunk

    def _stop(self, chunk: Chunk) -> Stop:
        try:
            require_master(self._master)
        except Retry as unavailable:
            return Stop(str(unavailable))
        log = self._folder.path / "spark.log"
        return Stop(f"a job of Spark failed, while it scored the rows from {chunk.first:,} on: see {log}")


@dataclass(frozen=True)
class _Task:
    job: SharedJob
    chunk: "Broadcast[Chunk]"

    def __call__(self, _: None) -> ScoredChunk:
        return _scorer(self.job).score(self.chunk.value)


@lru_cache(maxsize=1)
def _scorer(shared: SharedJob) -> ChunkScorer:
    """One for all tasks of a Python process of an executor: it has the same object for a value that was sent once."""
    job, model = shared.value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, job.model.name)
        path.write_bytes(model)
        return ChunkScorer(replace(job, model=path))


def _limit(context: SparkContext) -> int:
    cores: int = context.defaultParallelism
    return min(_CHUNKS_PER_CORE * cores, MAX_CHUNKS)
