"""Read the clean rows of an input file."""

from collections.abc import Iterator
from pathlib import Path

from veleta.cleaning import rejection
from veleta.dataset import BatchRule, Dataset, Values
from veleta.input.input_rows import open_rows


def clean_rows(path: Path, dataset: Dataset) -> Iterator[tuple[int, Values]]:
    """The clean rows of a file, whatever batch they belong to, each with its position in the file, from 0.

    Raises:
        FaultyInput: the file cannot be read, or has no usable row.
    """
    every_row = dataset.model_copy(update={"source": [BatchRule(place=0, where=[])]})
    with open_rows(path, every_row) as rows:
        rows.require_no_faults()
        for _, row in rows.assigned():
            values, _ = dataset.convert(row)
            if rejection(dataset, values) is None:
                yield rows.position, values
        rows.require_no_faults()
        rows.require_usable_rows()
