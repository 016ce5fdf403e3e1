"""The rows of a deployment as a file."""

from pathlib import Path

import pytest

from support.batches import publish_batch
from support.listings import api_rows
from support.twins.shared import MemoryLog
from veleta.dataset import load_dataset
from veleta.input.clean_rows import clean_rows
from veleta_drift.run_rows import write_rows

DATASET = load_dataset("real_estate")


def test_the_file_has_the_newest_batch_of_each_number(tmp_path: Path) -> None:
    """As received: with missing values, with texts of two lines, and without what no column is for."""
    log, path = MemoryLog(), tmp_path / "rows.csv"
    replaced, stays, new = (list(api_rows(0, 20, seed)) for seed in range(3))
    new[0] |= {"city": 'Two\nlines, and a "quote"', "a new column": 1}
    new[1].pop("bed")
    publish_batch(log, DATASET, 1, 0, replaced)
    publish_batch(log, DATASET, 1, 1, stays)
    publish_batch(log, DATASET, 2, 0, new)
    assert write_rows(path, DATASET, log) == (["real_estate/1/1", "real_estate/2/0"], [])
    read = [values for _, values in clean_rows(path, DATASET)]
    typed = [DATASET.convert(row)[0] for row in [*stays, *new]]
    assert read == [values for values in typed if values["bed"] is not None]


@pytest.mark.failure("F465")
def test_a_batch_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """With its reason. None of its rows is in the file."""
    log, path = MemoryLog(), tmp_path / "rows.csv"
    publish_batch(log, DATASET, 1, 0, list(api_rows(0, 20, 1)), digest="wrong")
    publish_batch(log, DATASET, 1, 1, list(api_rows(0, 5, 2)))
    read, lost = write_rows(path, DATASET, log)
    assert read == ["real_estate/1/1"]
    assert lost == ["real_estate/1/0: the manifest does not match: the rows have another digest"]
    assert len(list(clean_rows(path, DATASET))) == 5
