"""Child processes that score chunks: one that ends is no reason to wait."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from support.listings import LINE
from support.memory_inference import DATASET
from support.models import train
from veleta.errors import Stop
from veleta.ports import Version
from veleta_inference.adapters.input_chunks import CHUNK_ROWS, ChunkedFile
from veleta_inference.adapters.score_folder import ScoreFolder
from veleta_inference.adapters.score_workers import ScoreWorkers
from veleta_inference.adapters.scored_batches import added_columns
from veleta_inference.adapters.scored_chunks import ScoringJob
from veleta_inference.domain.promotions import Promotion
from veleta_inference.domain.row_scorer import ModelSnapshot


@pytest.fixture
def job(tmp_path: Path) -> ScoringJob:
    """The prices of three chunks by a small model."""
    train(DATASET, tmp_path / "model.cbm")
    rows = [",".join(LINE), *[",".join(LINE.values())] * (2 * CHUNK_ROWS + 1)]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    snapshot = ModelSnapshot(DATASET, Promotion(Version(7, "run"), 3, {}), None, None, datetime(2026, 1, 2, tzinfo=UTC))
    file = ChunkedFile(tmp_path / "rows.csv", DATASET)
    added: pa.Schema = added_columns(DATASET, file.names)
    return ScoringJob(snapshot, tmp_path / "model.cbm", file.layout, added, tmp_path / "o.csv", strict=False)


def test_all_chunks_are_complete_in_the_end(job: ScoringJob, tmp_path: Path) -> None:
    """By two processes, in any order."""
    file, folder = ChunkedFile(tmp_path / "rows.csv", DATASET), ScoreFolder(job.out)
    with folder.locked() as lock:
        folder.begin({})
        with ScoreWorkers(job, 2, lock) as workers:
            done = [each.first for chunk in file.chunks() for each in workers.score(chunk)]
            done += [each.first for each in workers.rest()]
        assert sorted(done) == [0, CHUNK_ROWS, 2 * CHUNK_ROWS]
        assert [folder.refused(first) for first in done] == [0, 0, 0]


@pytest.mark.failure("F607")
def test_a_process_that_ends_ends_the_job(job: ScoringJob, tmp_path: Path) -> None:
    """With its exit code. The other process ends too."""
    file, folder = ChunkedFile(tmp_path / "rows.csv", DATASET), ScoreFolder(job.out)
    with folder.locked() as lock:
        folder.begin({})
        with ScoreWorkers(job, 2, lock) as workers:
            first, *_ = pids = [child.pid for child in workers._children]
            os.kill(first, signal.SIGKILL)
            with pytest.raises(Stop, match="a child process ended with -9, while it scored the rows from"):
                _score_all(file, workers)
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def _score_all(file: ChunkedFile, workers: ScoreWorkers) -> None:
    for chunk in file.chunks():
        list(workers.score(chunk))
    list(workers.rest())
