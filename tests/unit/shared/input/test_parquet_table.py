"""The rows of a Parquet file."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.listings import LINE
from veleta.dataset import load_dataset
from veleta.input.batch_assignment import Row
from veleta.input.faults import FaultyInput
from veleta.input.input_rows import open_rows

DATASET = load_dataset("real_estate")
TYPED: dict[str, object] = {
    column.name: float(LINE[column.name]) if column.numeric else LINE[column.name] for column in DATASET.columns
}


def read(path: Path, columns: dict[str, object]) -> tuple[list[Row], str]:
    """The complete rows of a file with these columns, and the summary of its counts."""
    pq.write_table(pa.table(columns), path)
    with open_rows(path, DATASET) as rows:
        rows.require_no_faults()
        return [row for _, row in rows.assigned()], rows.counts.summary()


def columns(**changes: object) -> dict[str, object]:
    """A row in columns of one value, with some other columns."""
    return {**{name: [value] for name, value in TYPED.items()}, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bed": pa.array([3], pa.int32())},
        {"price": pa.array([Decimal("105000.00")])},
        {"zip_code": ["00601"]},
        {"zip_code": pa.array([601], pa.uint16())},
        {"status": pa.array(["for_sale"]).dictionary_encode()},
        {"city": [b"Adjuntas"]},
        {"prev_sold_date": [date(2019, 6, 28)]},
        {"prev_sold_date": [datetime(2019, 6, 28)]},  # noqa: DTZ001 - a timestamp without a zone
        {"prev_sold_date": pa.array([datetime(2019, 6, 28)], pa.timestamp("ns"))},  # noqa: DTZ001 - as above
        {"prev_sold_date": pa.array([datetime(2019, 6, 28, tzinfo=UTC)])},
        {"__index_level_0__": [7]},
    ],
)
def test_values_of_any_type_are_read(tmp_path: Path, changes: dict[str, object]) -> None:
    """Whole numbers, decimals, categories, dates and times of midnight are those of the CSV file."""
    assert read(tmp_path / "a.parquet", columns(**changes)) == ([TYPED], "1 row: 1 complete")


def test_nulls_and_values_of_another_kind_are_counted(tmp_path: Path) -> None:
    """By the number of the row."""
    _, summary = read(tmp_path / "a.parquet", columns(bed=pa.array([None], pa.int64()), bath=[True], price=[[1.0]]))
    assert summary == (
        "1 row: 0 complete; 1 left out: price not a number 1 (row 1: '[1.0]'), bed missing 1 (row 1), "
        "bath not a number 1 (row 1: 'true')"
    )


@pytest.mark.failure("F180")
def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """Whether its end or its data are damaged."""
    path = tmp_path / "a.parquet"
    read(path, columns())
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(FaultyInput, match="is a damaged Parquet file"), open_rows(path, DATASET):
        pass
    path.write_bytes(content[:4] + b"\xff" * 100 + content[104:])
    with pytest.raises(FaultyInput, match="row 1: the Parquet data are damaged"), open_rows(path, DATASET) as rows:
        rows.skip(1, 1)


def test_a_header_is_matched_as_that_of_a_csv_file(tmp_path: Path) -> None:
    """By names and titles."""
    renamed = {name.upper(): values for name, values in columns().items()}
    assert len(read(tmp_path / "a.parquet", renamed)[0]) == 1
