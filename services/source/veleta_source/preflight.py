"""`python -m veleta_source.preflight`: checks variables, dataset file and input before anything starts.

Prints every fault as a line to stderr and exits with 1. Without a fault it prints a summary of the rows and exits with
0. Lines that begin with `WARNING:` follow if many rows are left out, or if a port is published that needs no login.

It reads the settings of the source, and the variables of a start that are in the environment. With API_URL it asks
whether the API answers at all, unless POLLER_INBOX has data: a run that has data waits for its API.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from pydantic import Field

from veleta.api_keys import names_by_digest
from veleta.dataset import Dataset, datasets_with_gaps, load_dataset
from veleta.errors import Stop
from veleta.features import MIN_TRAINING_ROWS, Features
from veleta.input.faults import FaultyInput
from veleta.input.input_file import require_file
from veleta.input.input_rows import InputRows, open_rows
from veleta.input.row_counts import RowCounts
from veleta.printable import printable
from veleta.settings import read_settings
from veleta.start_variables import StartVariables
from veleta_source.adapters.api_probe import api_fault
from veleta_source.domain.clean_rows import CleanRows
from veleta_source.domain.generator import parse_generator
from veleta_source.domain.published_ports import published_ports
from veleta_source.settings import SourceSettings

CHECKED_ROWS = 50_000
"""So many rows are read with their values, which takes less than a second. The source reads all of them."""
SKIPPED_ROWS, SKIPPED_CHARACTERS = 500_000, 64_000_000
"""So many rows after them, or characters, are read without their values: encoding and quotes."""
_FIRST_ROWS = 2 * MIN_TRAINING_ROWS
"""So many rows have enough for a training and some for the holdout."""
_POSITION = "position.json"
"""The poller stores it with its first batch."""


class PreflightSettings(SourceSettings):
    """The settings of the source, whose folder is not needed, because nothing is written."""

    state: Path = Path()
    inbox: Path | None = Field(None, validation_alias="POLLER_INBOX")


def main() -> int:
    """Print the report: the exit code."""
    variables, faults = StartVariables.read(os.environ)
    lines: list[str] = []
    with _appended_to(faults):
        settings = read_settings(PreflightSettings)
        is_first = not _has_data(settings)
        if variables.api_url and is_first:
            faults += filter(None, [api_fault(variables.api_url)])
        dataset = None
        with _appended_to(faults):
            dataset = load_dataset(settings.dataset)
        if dataset:
            with _appended_to(faults):
                Features(dataset)  # reads the table of places
            lines += _check_rows(settings, dataset, variables, is_first)
            lines += published_ports(os.environ, has_keys=bool(names_by_digest(variables.api_keys)))
        elif settings.csv:
            require_file(settings.csv)
    (sys.stderr if faults else sys.stdout).writelines(f"{printable(line)}\n" for line in faults or lines)
    return 1 if faults else 0


@contextmanager
def _appended_to(faults: list[str]) -> Iterator[None]:
    """Append the faults of an error in the block, and continue after it."""
    try:
        yield
    except FaultyInput as error:
        faults += error.faults
    except (Stop, OSError) as error:
        faults += str(error).splitlines()


def _has_data(settings: PreflightSettings) -> bool:
    return settings.inbox is not None and (settings.inbox / _POSITION).exists()


def _check_rows(
    settings: PreflightSettings, dataset: Dataset, variables: StartVariables, is_first: bool
) -> Iterator[str]:
    """The lines about the rows. Raises Stop."""
    if variables.api_url:
        yield f"rows come from {variables.api_url}"
    elif settings.csv:
        yield from check(settings.csv, dataset)
    else:
        generator = parse_generator(dataset)
        if is_first and generator.first_rows * variables.scale < _FIRST_ROWS:
            least = ceil(_FIRST_ROWS / generator.first_rows * 1e5) / 1e5
            raise Stop(f"SCALE={variables.scale:g}: the first batch is too small for a model: use at least {least:g}")
        yield f"rows are generated from [generator] of {dataset.name}; {generator.summary()}"


def check(path: Path, dataset: Dataset) -> Iterator[str]:
    """The lines about a file. Raises FaultyInput with all faults."""
    clean_rows = CleanRows(dataset)
    with open_rows(path, dataset) as rows:
        try:
            complete = _read(rows, clean_rows)
        except FaultyInput as error:
            raise FaultyInput(path, [*rows.faults, *error.details]) from error
        rows.require_no_faults()
        rows.require_usable_rows()
        if complete and (fault := clean_rows.fault()):
            raise FaultyInput(path, [fault])
    note = "" if complete else f"the values of the first {CHECKED_ROWS:,} rows were checked; "
    yield f"{path}: {note}{rows.summary()}"
    warnings = [rows.counts.warning(), clean_rows.warning(), _gaps_warning(rows.counts, dataset)]
    yield from (f"WARNING: {path}: {each}" for each in warnings if each)


def _gaps_warning(counts: RowCounts, dataset: Dataset) -> str:
    """Which dataset learns from the rows that are left out for gaps, if they are many. Empty otherwise."""
    for other in datasets_with_gaps(dataset.name):
        if warning := counts.gaps_warning([column.name for column in other.columns if column.optional]):
            return f"{warning}: DATASET={other.name} learns from them too"
    return ""


def _read(rows: InputRows, clean_rows: CleanRows) -> bool:
    """Read the first rows, with their values if the header has no faults. Returns whether these are all rows."""
    if not rows.header.faults:
        for _, row in rows.assigned(CHECKED_ROWS):
            clean_rows.add(row)
    values_of_all = rows.skip(1, SKIPPED_CHARACTERS)
    if not values_of_all:
        rows.skip(SKIPPED_ROWS, SKIPPED_CHARACTERS)
    return values_of_all


if __name__ == "__main__":
    sys.exit(main())
