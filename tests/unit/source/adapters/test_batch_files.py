"""How a file is split into batch files."""

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Collection
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest

from support.listings import HEADER, LINE, write_csv
from veleta.dataset import BatchesRule, load_dataset
from veleta.errors import Retry, Stop
from veleta_source.adapters import batch_files
from veleta_source.adapters.batch_files import GeneratedRows, SplitFile
from veleta_source.handlers import BatchFiles

DATASET = load_dataset("real_estate")
SCALE = 0.001


def split(csv: Path, folder: Path) -> list[Path]:
    return SplitFile(csv, folder, DATASET).create(1, [], lambda _rows: None).paths


def generate(folder: Path, epoch: int, kept: Collection[int] = ()) -> BatchFiles:
    return GeneratedRows(SCALE, 1, folder, DATASET).create(epoch, kept, lambda _rows: None)


def write_lines(csv: Path, lines: list[dict[str, str]]) -> None:
    """Write a CSV file with these lines."""
    csv.write_text("\n".join(",".join(cells) for cells in (LINE, *(line.values() for line in lines))) + "\n")


def rows_of(batch: Path) -> list[dict[str, float | str]]:
    """The rows of a batch."""
    rows: list[dict[str, float | str]] = orjson.loads(b"[" + batch.read_bytes() + b"]")
    return rows


def test_batches_are_numbered_by_place_without_gaps(tmp_path: Path) -> None:
    """A place without rows has no batch, so later ones move up."""
    csv = tmp_path / "a.csv"
    write_lines(csv, [LINE, {**LINE, "price": "700000.0"}, {**LINE, "status": "sold"}, {**LINE, "bed": "4"}])
    batches = split(csv, tmp_path / "spool")
    assert [[row["price"] for row in rows_of(batch)] for batch in batches] == [[105000.0] * 2, [105000.0], [700000.0]]
    assert [row["bed"] for row in rows_of(batches[0])] == [3.0, 4.0]


def test_all_complete_rows_are_in_batches(tmp_path: Path) -> None:
    """Incomplete ones are left out."""
    csv = tmp_path / "a.csv"
    write_csv(csv, rows_per_kind=20, seed=1)
    batches = split(csv, tmp_path / "spool")
    assert [len(rows_of(batch)) for batch in batches] == [20] * 6
    assert len(csv.read_text().splitlines()) == 1 + 120 + 30
    assert Counter(row["state"] for row in rows_of(batches[3])) == {"Massachusetts": 20}


def test_a_second_split_replaces_the_files_of_the_first(tmp_path: Path) -> None:
    """Batches of another file must not be served."""
    csv, folder = tmp_path / "a.csv", tmp_path / "spool"
    write_lines(csv, [LINE, {**LINE, "status": "sold"}])
    split(csv, folder)
    write_lines(csv, [LINE])
    assert len(split(csv, folder)) == len(list(folder.iterdir())) == 1


def test_every_row_is_counted(tmp_path: Path) -> None:
    """The summary has the rows that are left out with their reasons, and the batches without rows."""
    csv = tmp_path / "a.csv"
    write_lines(csv, [LINE, {**LINE, "bed": ""}, {**LINE, "status": "other"}])
    batches = SplitFile(csv, tmp_path / "spool", DATASET).create(1, [], lambda _rows: None)
    assert batches.summary == (
        "3 rows: 1 complete; 2 left out: bed missing 1 (line 3), no batch rule 1 (line 4); "
        "batches 1, 2, 3, 4, 5 have no rows"
    )
    assert (batches.counts.complete, batches.counts.left_out) == (1, 2)


def test_generated_rows_are_counted_too(tmp_path: Path) -> None:
    """All of them are complete."""
    batches = generate(tmp_path / "spool", 2)
    assert batches.counts.batches == Counter({place: len(rows_of(path)) for place, path in enumerate(batches.paths)})
    assert batches.summary == f"{batches.counts.complete:,} generated rows of epoch 2"


def test_each_epoch_has_a_folder_until_it_is_not_kept(tmp_path: Path) -> None:
    """The files of an earlier version are deleted too."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "0.json").touch()
    first = generate(tmp_path / "spool", 1).paths
    rows = rows_of(first[0])
    second = generate(tmp_path / "spool", 2, kept=[1]).paths
    assert rows_of(first[0]) == rows != rows_of(second[0])
    third = generate(tmp_path / "spool", 3, kept=[2]).paths
    assert sorted(path.name for path in (tmp_path / "spool").iterdir()) == ["2", "3"]
    assert all(map(Path.exists, [*second, *third]))


@pytest.mark.failure("F445")
def test_a_full_disk_leaves_no_part_of_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt follows, and the batches of other epochs stay."""
    first = generate(tmp_path / "spool", 1).paths
    written: list[bytes] = []

    def fill(row: object) -> bytes:
        written.append(orjson.dumps(row))
        if len(written) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written[-1]

    with monkeypatch.context() as patch:
        patch.setattr(batch_files, "orjson", SimpleNamespace(dumps=fill))
        with pytest.raises(Retry, match=r"batches: cannot write those of epoch 2 to .*: .*No space left on device"):
            generate(tmp_path / "spool", 2, kept=[1])
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["1"]
    assert all(map(Path.exists, first))
    assert all(map(Path.exists, generate(tmp_path / "spool", 2, kept=[1]).paths))


@pytest.mark.failure("F184")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.csv: is empty"),
        (",".join(HEADER).encode(), "a.csv: has a header, but no rows"),
        (
            ",".join(HEADER).encode() + b"\n" + b"," * 11,
            r"no usable row; 1 row: 0 complete; 1 left out: .* \(line 2\)",
        ),
        (",".join(HEADER[:-1]).encode() + b"\n", "column prev_sold_date is missing"),
        (",".join(HEADER).encode() + b"\n\xfc\n" + b"x\n" * 100_000, r"byte 0xFC at column 1: .* save it as UTF-8$"),
    ],
)
def test_a_file_that_cannot_be_split_stops_the_source(tmp_path: Path, content: bytes, message: str) -> None:
    """With the reason, at the first fault that would lose rows."""
    csv = tmp_path / "a.csv"
    csv.write_bytes(content)
    with pytest.raises(Stop, match=message):
        split(csv, tmp_path / "spool")


def test_a_folder_that_cannot_be_written_stops_the_source(tmp_path: Path) -> None:
    """The message has the reason."""
    write_lines(tmp_path / "a.csv", [LINE])
    (tmp_path / "spool").touch()
    with pytest.raises(Stop, match=r"cannot split .*a.csv: .*File exists"):
        split(tmp_path / "a.csv", tmp_path / "spool")


def test_splitting_is_cancelled_when_the_service_stops(tmp_path: Path) -> None:
    """The rest of the file is not read."""
    csv = tmp_path / "a.csv"
    write_lines(csv, [LINE])

    def stop(_rows: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        SplitFile(csv, tmp_path / "spool", DATASET).create(1, [], stop)


def test_progress_is_reported_now_and_then(tmp_path: Path) -> None:
    """With the number of rows so far, also of those that are left out."""
    csv = tmp_path / "a.csv"
    write_lines(csv, [LINE, *[{**LINE, "bed": ""}] * 10_000])
    reported: list[int] = []
    SplitFile(csv, tmp_path / "spool", DATASET).create(1, [], reported.append)
    assert reported == [0, 10_000]


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [(BatchesRule(), [3] * 6), (BatchesRule(rows=8), [8, 8, 2]), (BatchesRule(by="prev_sold_date"), [6, 12])],
    ids=["equal parts", "rows", "month"],
)
def test_without_rules_rows_are_divided(
    rule: BatchesRule, sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the file, or of time. A row is written once, however often a batch is written to."""
    monkeypatch.setattr(batch_files, "BUFFERED", 300)
    csv, dataset = tmp_path / "a.csv", DATASET.model_copy(update={"source": [], "batches": rule})
    days = ("2024-02-01", "2024-01-15", "2024-02-28")
    write_lines(csv, [{**LINE, "bed": str(n + 1), "prev_sold_date": days[n % 3]} for n in range(18)])
    batches = SplitFile(csv, tmp_path / "spool", dataset).create(1, [], lambda _rows: None).paths
    found = [[row["bed"] for row in rows_of(batch)] for batch in batches]
    assert list(map(len, found)) == sizes
    in_order = [n + 1.0 for n in range(18)]
    january = [bed for bed in in_order if bed % 3 == 2]
    expected = [*january, *(bed for bed in in_order if bed not in january)] if rule.by else in_order
    assert list(chain.from_iterable(found)) == expected
    assert sorted((tmp_path / "spool").iterdir()) == sorted(batches)


def test_a_large_batch_is_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts follow each other, before the next batch."""
    monkeypatch.setattr(batch_files, "MAX_ROWS", 4)
    csv = tmp_path / "a.csv"
    write_lines(csv, [{**LINE, "price": price} for price in ["700000.0"] * 2 + ["105000.0"] * 9])
    batches = split(csv, tmp_path / "spool")
    assert [[row["price"] for row in rows_of(batch)] for batch in batches] == [
        [105000.0] * 4, [105000.0] * 4, [105000.0], [700000.0] * 2,
    ]  # fmt: skip
