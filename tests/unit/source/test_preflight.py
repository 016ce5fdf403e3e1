"""The check of an input before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.listings import LINE
from veleta.dataset import load_dataset
from veleta_source import preflight
from veleta_source.domain.faults import FaultyInput

DATASET = load_dataset("real_estate")
NAMES = ",".join(LINE)
CELLS = ",".join(LINE.values())


def run(path: Path | str) -> subprocess.CompletedProcess[str]:
    """The command with this SOURCE_CSV. No other setting is needed."""
    environment = {**os.environ, "SOURCE_CSV": str(path)}
    command = [sys.executable, "-m", "veleta_source.preflight"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_good_file_is_summed_up(tmp_path: Path) -> None:
    """A line with the counts, and a warning if many rows are left out. The exit code is 0."""
    path = tmp_path / "a.csv"
    path.write_text(f"{NAMES}\n{CELLS}\n{CELLS.replace('105000.0', 'POA')}\n")
    done = run(path)
    assert (done.returncode, done.stderr) == (0, "")
    summary, warning = done.stdout.splitlines()
    assert summary.startswith(f"{path}: 2 rows: 1 complete; 1 left out: price not a number 1 (line 3: 'POA')")
    assert warning == f"WARNING: {path}: 1 of 2 rows (50%) are left out: price not a number 1 (line 3: 'POA')"


def test_every_fault_is_a_line(tmp_path: Path) -> None:
    """On stderr, with the name of the file. The exit code is 1."""
    path = tmp_path / "a.csv"
    path.write_bytes(f"{NAMES.replace('price', 'prize').replace('bed', 'city')}\n{CELLS}\xfc\n".encode("latin-1"))
    done = run(path)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.removeprefix(f"{path}: ").split(";")[0] for line in done.stderr.splitlines()] == [
        "column city is in the header more than once, at 4 and 8",
        "column price is missing in the header",
        "column bed is missing in the header",
        "line 2, byte 0xFC at column 91: the file is not UTF-8",
    ]


def test_without_a_file_the_generator_is_checked() -> None:
    """An empty SOURCE_CSV is none."""
    done = run("")
    assert (done.returncode, done.stdout) == (0, "rows are generated from [generator] of real_estate\n")


def test_a_quote_is_named_with_the_other_faults(tmp_path: Path) -> None:
    """Although the rows after it cannot be read."""
    path = tmp_path / "a.csv"
    path.write_text(f'{NAMES.replace("bed", "city")}\n{CELLS}\n"{CELLS}\n{CELLS}\n')
    with pytest.raises(FaultyInput) as caught:
        list(preflight.check(path, DATASET))
    assert [detail.split(";")[0] for detail in caught.value.details] == [
        "column city is in the header more than once, at 4 and 8",
        "column bed is missing in the header",
        'line 3: a quote (") is opened and not closed',
    ]


def test_a_large_file_is_checked_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The summary says so."""
    monkeypatch.setattr(preflight, "CHECKED_ROWS", 2)
    path = tmp_path / "a.csv"
    path.write_text(f"{NAMES}\n{CELLS}\n{CELLS}\n{CELLS}\n")
    (summary,) = preflight.check(path, DATASET)
    assert summary.startswith(f"{path}: the first 2 rows were checked; 2 rows: 2 complete")
    path.write_text(f"{NAMES}\n{CELLS}\n{CELLS}\n")
    (summary,) = preflight.check(path, DATASET)
    assert summary.startswith(f"{path}: 2 rows: 2 complete")
