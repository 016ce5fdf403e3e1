"""The folder with complete chunks: the output appears at once, and what was complete stays."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from veleta.errors import Stop
from veleta_inference.adapters import score_folder
from veleta_inference.adapters.input_chunks import RowFault
from veleta_inference.adapters.score_folder import ScoreFolder
from veleta_inference.adapters.scored_chunks import ScoredChunk

SCHEMA = pa.schema([("a", pa.string()), ("b", pa.float64())])
FAULTS = [RowFault(2, 4, "bed", "'x' is no number"), RowFault(2, 4, None, "y")]


def batch(*texts: str | None) -> pa.RecordBatch:
    return pa.record_batch([pa.array(texts, pa.string()), pa.array([0.1] * len(texts))], schema=SCHEMA)


def scored(folder: ScoreFolder, rows: pa.RecordBatch, faults: Sequence[RowFault]) -> ScoredChunk:
    return ScoredChunk.of(rows, faults, folder.out.suffix)


def test_the_output_has_all_chunks_in_their_order(tmp_path: Path) -> None:
    """It appears when all are there. The errors are in a file of their own, and the folder is deleted."""
    folder = ScoreFolder(tmp_path / "o.csv")
    with folder.locked():
        folder.begin({"key": 1})
        folder.write(2, scored(folder, batch("c, d"), FAULTS))
        folder.write(0, scored(folder, batch("a", None), []))
        assert not folder.out.exists()
        assert (folder.refused(0), folder.refused(2), folder.refused(4), folder.complete()) == (0, 1, None, 2)
        assert folder.finish([0, 2], SCHEMA) == 1
    assert folder.out.read_bytes() == b'a,b\r\na,0.1\r\n,0.1\r\n"c, d",0.1\r\n'
    assert folder.errors.read_text().splitlines() == ["row,line,column,message", "2,4,bed,'x' is no number", "2,4,,y"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.csv", "o.csv.errors.csv"]


def test_a_parquet_output_has_the_types(tmp_path: Path) -> None:
    """Without a fault there is no file of errors."""
    folder = ScoreFolder(tmp_path / "o.parquet")
    with folder.locked():
        folder.begin({})
        folder.write(0, scored(folder, batch("a"), []))
        folder.write(1, scored(folder, batch(), []))
        folder.finish([0, 1], SCHEMA)
    assert pq.read_table(folder.out).equals(pa.Table.from_batches([batch("a")]))
    assert not folder.errors.exists()


def test_the_chunks_of_another_job_are_deleted(tmp_path: Path) -> None:
    """And what they belong to is replaced. One that was half written counts as none."""
    folder = ScoreFolder(tmp_path / "o.csv")
    with folder.locked():
        assert folder.kept_job() is None
        folder.begin({"key": {"version": 1}})
        folder.write(0, scored(folder, batch("a"), []))
        assert folder.kept_job() == {"key": {"version": 1}}
        folder.begin({"key": {"version": 2}})
        assert (folder.kept_job(), folder.refused(0), folder.complete()) == ({"key": {"version": 2}}, None, 0)
        (folder.path / "job.json").write_text("{")
        assert folder.kept_job() is None


@pytest.mark.failure("F604")
def test_two_jobs_do_not_write_one_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one stops. After the first one has ended, another goes on."""
    monkeypatch.setattr(score_folder, "LOCK_SECONDS", 0.1)
    folder = ScoreFolder(tmp_path / "o.csv")
    with folder.locked(), pytest.raises(Stop, match="another make score writes it"), folder.locked():
        pytest.fail("both have the lock")
    with folder.locked():
        assert folder.path.is_dir()


@pytest.mark.failure("F603")
def test_an_output_that_another_program_wrote_is_not_replaced(tmp_path: Path) -> None:
    """The chunks stay too."""
    folder = ScoreFolder(tmp_path / "o.csv")
    with folder.locked():
        folder.begin({})
        folder.write(0, scored(folder, batch("a"), []))
        folder.out.write_text("mine")
        with pytest.raises(Stop, match="another program wrote it meanwhile"):
            folder.finish([0], SCHEMA)
    assert (folder.out.read_text(), folder.complete()) == ("mine", 1)
