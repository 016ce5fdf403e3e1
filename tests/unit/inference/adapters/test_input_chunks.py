"""A file in chunks: all of its rows, each with its place."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.listings import LINE
from support.market_levels import MARKET
from support.memory_inference import DATASET
from veleta.dataset import load_dataset
from veleta.input.faults import FaultyInput
from veleta_inference.adapters.input_chunks import CHUNK_ROWS, Chunk, ChunkedFile, RowFault

WITHOUT_PRICE = [name for name in LINE if name != DATASET.target]


def write(path: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    path.write_text("\n".join(lines), encoding=encoding)
    return path


def line(separator: str = ",", **changes: str) -> str:
    return separator.join({**LINE, **changes}.values())


def cells(chunk: Chunk) -> list[tuple[object, ...]]:
    return list(zip(*(column.to_pylist() for column in chunk.batch.columns), strict=True))


def test_all_rows_are_in_chunks_in_their_order(tmp_path: Path) -> None:
    """A chunk more than the last full one, with positions from 0 and lines of the file."""
    lines = [line(bed=str(number)) for number in range(CHUNK_ROWS + 2)]
    file = ChunkedFile(write(tmp_path / "a.csv", [",".join(LINE), *lines]), DATASET)
    first, second = file.chunks()
    assert (file.rows, first.count, second.first, second.count) == (CHUNK_ROWS + 2, CHUNK_ROWS, CHUNK_ROWS, 2)
    assert (list(second.rows), second.lines) == ([CHUNK_ROWS, CHUNK_ROWS + 1], [CHUNK_ROWS + 2, CHUNK_ROWS + 3])
    assert [row[file.names.index("bed")] for row in cells(second)] == [str(CHUNK_ROWS), str(CHUNK_ROWS + 1)]
    assert first.faults == second.faults == []


def test_files_as_people_have_them_are_read(tmp_path: Path) -> None:
    """With a byte order mark, semicolons, decimal commas, titles, other columns, and without the price."""
    names = [DATASET.by_name[name].title for name in WITHOUT_PRICE]
    row = [LINE[name] for name in WITHOUT_PRICE]
    row[WITHOUT_PRICE.index("acre_lot")] = "0,38"
    lines = [";".join([*names, "notes"]), ";".join([*row, ""])]
    file = ChunkedFile(write(tmp_path / "a.csv", lines, "utf-8-sig"), DATASET)
    (chunk,) = file.chunks()
    assert file.layout.positions == {name: position for position, name in enumerate(WITHOUT_PRICE)}
    assert (file.layout.marks["acre_lot"], file.names, file.ignored) == (",", [*names, "notes"], ["'notes'"])
    assert cells(chunk) == [(*row, None)]


def test_a_row_with_other_cells_is_a_fault_and_the_rest_stays(tmp_path: Path) -> None:
    """Too few, too many, and malformed quotes. A cell with a line end counts as one line of the next row's number."""
    lines = [",".join(LINE), "1,2", f"{line()},more", f"{line()},", line(city='"a\nb"'), line(city='"a" b"')]
    (chunk,) = ChunkedFile(write(tmp_path / "a.csv", lines), DATASET).chunks()
    assert (chunk.rows, chunk.lines, chunk.count) == ([2, 3], [4, 5], 5)
    assert [cells(chunk)[0][0], len(cells(chunk)[0])] == [LINE["brokered_by"], len(LINE)]
    assert chunk.faults == [
        RowFault(0, 2, None, "fewer cells than the header: 2 and not 12"),
        RowFault(1, 3, None, "more cells than the header: 13 and not 12"),
        RowFault(4, 7, None, "malformed quotes or a huge cell"),
    ]


def test_a_chunk_without_a_usable_row_has_no_rows(tmp_path: Path) -> None:
    """And the columns of the others."""
    (chunk,) = ChunkedFile(write(tmp_path / "a.csv", [",".join(LINE), "1"]), DATASET).chunks()
    assert (chunk.batch.num_rows, chunk.batch.schema.names, len(chunk.faults)) == (0, [*LINE], 1)


def test_a_parquet_file_keeps_its_types(tmp_path: Path) -> None:
    """Its rows have no lines."""
    table = pa.table({**{name: [text] * 3 for name, text in LINE.items()}, "bed": pa.array([1, 2, 3], pa.int8())})
    pq.write_table(table, tmp_path / "a.parquet")
    file = ChunkedFile(tmp_path / "a.parquet", DATASET)
    (chunk,) = file.chunks()
    assert (file.rows, pa.Table.from_batches([chunk.batch]), list(chunk.rows), chunk.lines) == (
        3,
        table,
        [0, 1, 2],
        None,
    )


@pytest.mark.failure("F601")
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([",".join(name for name in LINE if name != "city"), "1"], "column city is missing in the header"),
        ([",".join(LINE)], "has a header, but no rows"),
        ([",".join(LINE), line(), line(city='"never')], "is opened and not closed"),
        ([",".join(LINE), line(), line(city="a\0")], "NUL byte"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused_before_a_row_is(tmp_path: Path, lines: list[str], fault: str) -> None:
    """Whatever line has the fault."""
    with pytest.raises(FaultyInput, match=fault):
        ChunkedFile(write(tmp_path / "a.csv", lines), DATASET)


def test_only_what_a_request_needs_must_be_in_the_header(tmp_path: Path) -> None:
    """Of a dataset with optional columns hardly anything."""
    path = write(tmp_path / "a.csv", ["city,state,zip_code", "Orlando,Florida,32801"])
    assert ChunkedFile(path, load_dataset("listings")).rows == 1


def test_the_day_of_a_price_is_found_only_with_a_market(tmp_path: Path) -> None:
    """Without one it is a column like any other."""
    path = write(tmp_path / "a.csv", [",".join([*LINE, "as_of"]), f"{line()},2014-06-30"])
    assert [ChunkedFile(path, dataset).layout.as_of for dataset in (MARKET, DATASET)] == [len(LINE), None]
