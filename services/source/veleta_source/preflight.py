"""`python -m veleta_source.preflight`: checks the input before anything starts, with the settings of the source.

Prints every fault as a line to stderr and exits with 1. Without a fault it prints a summary of the rows and exits with
0. A second line that begins with `WARNING:` follows if many rows are left out.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from veleta.dataset import Dataset, load_dataset
from veleta.errors import Stop
from veleta.settings import read_settings
from veleta_source.adapters.input_rows import InputRows, open_rows
from veleta_source.domain.faults import FaultyInput
from veleta_source.domain.generator import parse_generator
from veleta_source.settings import SourceSettings

CHECKED_ROWS = 50_000
"""So many rows are read with their values, which takes a second. The rows after them are read by the source."""


class PreflightSettings(SourceSettings):
    """The settings of the source. Nothing is written, so the folder is not needed."""

    state: Path = Path()


def main() -> Iterator[str]:
    """The lines of the report. Raises Stop."""
    settings = read_settings(PreflightSettings)
    dataset = load_dataset(settings.dataset)
    if settings.csv is None:
        parse_generator(dataset)
        return iter([f"rows are generated from [generator] of {dataset.name}"])
    return check(settings.csv, dataset)


def check(path: Path, dataset: Dataset) -> Iterator[str]:
    """The lines about a file. Raises FaultyInput with all faults."""
    with open_rows(path, dataset) as rows:
        try:
            complete = _read(rows)
        except FaultyInput as error:
            raise FaultyInput(path, [*rows.faults, *error.details]) from error
        rows.require_no_faults()
        rows.require_usable_rows()
    note = "" if complete else f"the first {CHECKED_ROWS:,} rows were checked; "
    yield f"{path}: {note}{rows.summary()}"
    if warning := rows.counts.warning():
        yield f"WARNING: {path}: {warning}"


def _read(rows: InputRows) -> bool:
    """Read the first rows, and their values if the header has no faults. Returns whether these are all rows."""
    if rows.header.faults:
        return rows.skip(CHECKED_ROWS)
    for _ in rows.assigned(CHECKED_ROWS):
        pass
    return rows.skip(1)


if __name__ == "__main__":
    try:
        for line in main():
            sys.stdout.write(f"{line}\n")
    except FaultyInput as error:
        sys.exit("\n".join(error.faults))
    except Stop as error:
        sys.exit(str(error))
