"""`python -m veleta_inference.score`: the prices of all rows of a file, by the champion, in a file.

It reads the champion and its levels once, at the start. The rows are read in chunks, which child processes score, or
tasks of Apache Spark. Chunks that are complete are kept beside the output, so that the same command goes on after a
kill.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.adapters.booster import NativeBooster
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.adapters.spark_master import on_cluster, require_master
from veleta.bounds import Engine, Workers
from veleta.clock import utc_now
from veleta.console import run, show
from veleta.dataset import Dataset, load_dataset
from veleta.errors import Retry, Stop
from veleta.input.input_file import require_file
from veleta.progress import ProgressLine
from veleta.settings import KafkaSettings, MlflowSettings, SparkSettings, read_settings
from veleta_inference.adapters.chunk_workers import NICENESS, ChunkWorkers
from veleta_inference.adapters.input_chunks import CHUNK_ROWS, ChunkedFile
from veleta_inference.adapters.score_folder import ScoreFolder
from veleta_inference.adapters.score_workers import ScoreWorkers
from veleta_inference.adapters.scored_batches import added_columns
from veleta_inference.adapters.scored_chunks import ScoringJob
from veleta_inference.champion import ChampionReader
from veleta_inference.domain.promotions import LoadedModel
from veleta_inference.domain.row_scorer import ModelSnapshot

BAR = 30
"""Characters of the bar."""


class ScoreSettings(BaseSettings):
    """The variables of `make score`."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)
    csv: Path | None = Field(None, description="the CSV file with the rows (plain, .gz or .zip)")
    parquet: Path | None = Field(None, description="the Parquet file with the rows, in the place of CSV")
    out: Path = Field(description="the file that is written: its name ends in .csv or .parquet")
    workers: Workers = Field(
        len(os.sched_getaffinity(0)), description="processes that score rows; each needs about 300 MB"
    )
    engine: Engine = Field("local", description="what scores rows: processes of this machine, or Apache Spark")
    strict: Literal["0", "1"] = Field(
        "0", description="1: rows with values outside what the model has learnt have no price; 0: warnings"
    )
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    spark: SparkSettings = Field(default_factory=SparkSettings)

    @property
    def input(self) -> Path:
        """The file with the rows. Raises Stop if there is none, or two."""
        if self.csv and self.parquet:
            raise Stop("CSV= and PARQUET= exclude one another: pass one file")
        if not (path := self.csv or self.parquet):
            raise Stop("pass a file with rows: make score CSV=file OUT=file, or PARQUET=file")
        return path


def main() -> None:
    """Score the file, and show the progress. Raises Stop and Reject."""
    try:
        _score_file()
    except KeyboardInterrupt:
        raise Stop("interrupted: what is complete is kept, and the same command goes on") from None


def _score_file() -> None:
    settings = read_settings(ScoreSettings)
    _require_new(settings.out)
    require_file(settings.input)
    _require_engine(settings)
    dataset = load_dataset(settings.dataset)
    began = time.monotonic()
    file = ChunkedFile(settings.input, dataset)
    added = added_columns(dataset, file.names)
    _require_names(settings.out, [*file.names, *added.names])
    show(f"{settings.input}: {file.rows:,} rows")
    if file.ignored:
        show(f"columns that the model does not know: {', '.join(file.ignored)}")
    with tempfile.TemporaryDirectory(prefix="veleta-score-") as folder:
        model = _champion(settings, dataset, Path(folder))
        score_folder = ScoreFolder(settings.out)
        try:
            with score_folder.locked() as lock:
                at = _begin(score_folder, _job_key(settings, dataset, model))
                snapshot = ModelSnapshot.of_model(dataset, model, at)
                show(_described(snapshot, model))
                job = ScoringJob(snapshot, model.path, file.layout, added, settings.out, settings.strict == "1")
                with _workers(settings, job, score_folder, lock) as workers:
                    firsts, schema = _score_chunks(file, score_folder, workers)
                refused = score_folder.finish(firsts, pa.schema([*schema, *added]))
        except OSError as error:
            raise Stop(f"OUT={settings.out}: cannot be written: {error.strerror}") from error
    seconds = time.monotonic() - began
    show(f"{settings.out}: {file.rows - refused:,} rows with prices, in {seconds:,.0f} s")
    if refused:
        show(f"{score_folder.errors}: what is wrong with {refused:,} rows")


def _require_new(out: Path) -> None:
    if out.suffix not in (".csv", ".parquet"):
        raise Stop(f"OUT={out}: use a name that ends in .csv or .parquet")
    if out.exists():
        raise Stop(f"{out} is there already: pass OUT=another, or delete it")


def _require_engine(settings: ScoreSettings) -> None:
    """Raise Stop if the master of Spark does not answer, before hours of counting."""
    if settings.engine == "spark":
        try:
            require_master(settings.spark.master)
        except Retry as unavailable:
            raise Stop(str(unavailable)) from unavailable
        show(f"Apache Spark: {settings.spark.master}")


@contextlib.contextmanager
def _workers(settings: ScoreSettings, job: ScoringJob, folder: ScoreFolder, lock: int) -> Iterator[ChunkWorkers]:
    """What scores the chunks. Raises Stop."""
    if settings.engine == "local":
        with ScoreWorkers(job, settings.workers, lock) as processes:
            yield processes
        return
    from veleta_inference.adapters.spark_workers import spark_workers  # noqa: PLC0415 - PySpark is an extra

    if not on_cluster(settings.spark.master):
        os.nice(NICENESS)  # its Java process has it too
    with spark_workers(settings.spark, job, folder, show) as tasks:
        yield tasks


def _require_names(out: Path, names: Sequence[str]) -> None:
    """A Parquet file with two columns of one name can hardly be read. A CSV file can."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if out.suffix == ".parquet" and twice:
        raise Stop(f"OUT={out}: there would be more than one column {twice[0]!r}: use a name that ends in .csv")


def _champion(settings: ScoreSettings, dataset: Dataset, folder: Path) -> LoadedModel:
    registry = MlflowRegistry(settings.mlflow.tracking_uri, dataset.name)
    with closing(KafkaLog(settings.kafka, "score")) as event_log:
        try:
            return ChampionReader(dataset, registry, event_log, NativeBooster, utc_now).read(folder)
        except Retry as unavailable:
            raise Stop(str(unavailable)) from unavailable


def _job_key(settings: ScoreSettings, dataset: Dataset, model: LoadedModel) -> dict[str, Any]:
    """What a chunk depends on, by the names that a person reads if one of them differs."""
    with settings.input.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "input": content,
        "dataset file": dataset.digest,
        "version": model.version,
        "model file": model.digest,
        "level of its intervals": model.level,
        "level of the market": model.market.state.seq if model.market else None,
        "STRICT": settings.strict,
        "rows of a chunk": CHUNK_ROWS,
    }


def _begin(folder: ScoreFolder, key: Mapping[str, Any]) -> datetime:
    """The time for which prices are asked: that of the job whose chunks are kept, or now."""
    kept = folder.kept_job()
    if kept and kept["key"] == key:
        show(f"goes on: {folder.complete() * CHUNK_ROWS:,} rows of an earlier start are kept")
        return datetime.fromisoformat(kept["at"])
    if kept:
        changed = [name for name, value in key.items() if kept["key"].get(name) != value]
        show(f"starts anew: the chunks of an earlier start were of another {', another '.join(changed)}")
    at = utc_now()
    folder.begin({"key": key, "at": at.isoformat()})
    return at


def _described(snapshot: ModelSnapshot, model: LoadedModel) -> str:
    level = model.price_level(None, snapshot.at)
    market = f", prices of {level.as_of}: {level.factor:.3f} times those of {level.since}" if level else ""
    return f"model {snapshot.dataset.name} {model.version}{market}"


def _score_chunks(file: ChunkedFile, folder: ScoreFolder, workers: ChunkWorkers) -> tuple[list[int], pa.Schema]:
    """Score all chunks that are not complete. Returns the first row of each chunk, and the columns of the file."""
    firsts, progress = list[int](), _Progress(file.rows)
    try:
        for chunk in file.chunks():
            schema = chunk.batch.schema
            firsts.append(chunk.first)
            if folder.refused(chunk.first) is not None:
                progress.skip(chunk.count)
                continue
            for done in workers.score(chunk):
                progress.add(done.count)
        for done in workers.rest():
            progress.add(done.count)
    finally:
        progress.close()
    return firsts, schema


class _Progress:
    """The rows that are done, with the speed and the time that the others will take."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._kept = self._done = 0
        self._began = time.monotonic()
        self._live = sys.stdout.isatty()
        self._line = ProgressLine(show, live=self._live)

    def skip(self, rows: int) -> None:
        """Rows of an earlier start."""
        self._kept += rows
        self._show()

    def add(self, rows: int) -> None:
        """Rows of this start."""
        self._done += rows
        self._show()

    def close(self) -> None:
        self._line.close()

    def _show(self) -> None:
        done = self._kept + self._done
        text = f"{done:,} of {self._rows:,} rows, {100 * done // self._rows} %"
        if self._done:
            speed = self._done / (time.monotonic() - self._began)
            text += f", {speed:,.0f} rows/s, {(self._rows - done) / speed:,.0f} s left"
        full = BAR * done // self._rows
        bar = f"[{'#' * full}{' ' * (BAR - full)}] " if self._live else ""
        self._line.update(f"{bar}{text}")


if __name__ == "__main__":
    run(main)
