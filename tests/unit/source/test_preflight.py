"""The check of an input before anything starts."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.bicycles import BICYCLES, BICYCLES_CSV
from support.listings import LINE
from veleta.dataset import load_dataset
from veleta.input.faults import FaultyInput
from veleta_source import preflight

DATASET = load_dataset("real_estate")
NAMES = ",".join(LINE)
CELLS = ",".join(LINE.values())


def lines(count: int, **cells: str) -> str:
    """Lines of this many properties, each with its own street and price."""
    return "".join(
        ",".join({**LINE, "street": f"{i}.0", "price": f"{105_000 + i}.0", **cells}.values()) + "\n"
        for i in range(count)
    )


def run(path: Path | str) -> subprocess.CompletedProcess[str]:
    """The command with this SOURCE_CSV. No other setting is needed."""
    environment = {**os.environ, "SOURCE_CSV": str(path)}
    command = [sys.executable, "-m", "veleta_source.preflight"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_good_file_is_summed_up(tmp_path: Path) -> None:
    """A line with the counts, and a warning if many rows are left out. The exit code is 0."""
    path = tmp_path / "a.csv"
    path.write_text(f"{NAMES}\n{lines(60)}{lines(40, price='POA')}")
    done = run(path)
    assert (done.returncode, done.stderr) == (0, "")
    summary, warning = done.stdout.splitlines()
    assert summary.startswith(f"{path}: 100 rows: 60 complete; 40 left out: price not a number 40 (line 62: 'POA')")
    assert warning == f"WARNING: {path}: 40 of 100 rows (40 %) are left out: price not a number 40 (line 62: 'POA')"


def test_many_rows_with_gaps_name_the_dataset_that_learns_from_them(tmp_path: Path) -> None:
    """Rows with a wrong value, or with a gap that it does not take either, do not count."""
    path = tmp_path / "a.csv"
    path.write_text(f"{NAMES}\n{lines(60)}{lines(30, bed='')}{lines(10, price='POA')}")
    assert run(path).stdout.splitlines()[-1] == (
        f"WARNING: {path}: 30 of 100 rows (30 %) are left out only because values are missing: "
        "DATASET=listings learns from them too"
    )
    for others in (lines(10, bed="") + lines(30, price="POA"), lines(40, city="")):
        path.write_text(f"{NAMES}\n{lines(60)}{others}")
        assert "listings" not in run(path).stdout


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
        "these names of the header match no name and no title of a column: 'prize'",
        "line 2, byte 0xFC at column 91: the file is not UTF-8",
    ]


def test_without_a_file_the_generator_is_checked() -> None:
    """An empty SOURCE_CSV is none."""
    done = run("")
    summary = "rows are generated from [generator] of real_estate; its market changes in epochs 3, 4, 6, 8, 9, 10, 11\n"
    assert (done.returncode, done.stdout) == (0, summary)


@pytest.mark.failure("F382")
def test_a_published_port_without_a_login_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start goes on."""
    monkeypatch.setenv("INFERENCE_BIND", "0.0.0.0")  # noqa: S104 - nothing listens on it
    done = run("")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("WARNING: INFERENCE_BIND=0.0.0.0: ")


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


def test_the_rows_of_another_encoding_are_not_read(tmp_path: Path) -> None:
    """Their texts cannot be used. The lines after them are searched for faults."""
    path = tmp_path / "a.csv"
    path.write_bytes(f"{NAMES}\n{CELLS}\n{CELLS}\n{CELLS}\n".replace("Adjuntas", "Mayag\u00fcez").encode("cp1252"))
    with pytest.raises(FaultyInput) as caught:
        list(preflight.check(path, DATASET))
    (detail,) = caught.value.details
    assert detail.startswith("line 2, byte 0xFC at column ")
    assert detail.endswith("(3 such lines so far)")


def test_a_large_file_is_checked_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The summary says so."""
    monkeypatch.setattr(preflight, "CHECKED_ROWS", 2)
    path = tmp_path / "a.csv"
    path.write_text(f"{NAMES}\n{CELLS}\n{CELLS}\n{CELLS}\n")
    (summary,) = preflight.check(path, DATASET)
    assert summary.startswith(f"{path}: the values of the first 2 rows were checked; 2 rows: 2 complete")
    path.write_text(f'{NAMES}\n{CELLS}\n{CELLS}\n{CELLS}\n"{CELLS}\n')
    with pytest.raises(FaultyInput, match="line 5: a quote"):
        list(preflight.check(path, DATASET))
    monkeypatch.setattr(preflight, "CHECKED_ROWS", 60)
    path.write_text(f"{NAMES}\n{lines(60)}")
    (summary,) = preflight.check(path, DATASET)
    assert summary.startswith(f"{path}: 60 rows: 60 complete")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (
            lines(40, bed="99"),
            "no row is within [cleaning] of the dataset file: 40 of 40 rows are left out",
        ),
        (lines(9), "clean training rows and "),
        (lines(60, street="7"), " 0 holdout rows are too few for a model, 20 and 1 are needed"),
        (lines(60, price="200000"), "price has one value in all rows, so there is nothing to learn"),
    ],
)
def test_rows_on_which_no_model_can_be_trained_are_refused(rows: str, fault: str, tmp_path: Path) -> None:
    """The training would fail, so the start would have no model."""
    path = tmp_path / "a.csv"
    path.write_text(f"{NAMES}\n{rows}")
    with pytest.raises(FaultyInput) as caught:
        list(preflight.check(path, DATASET))
    assert fault in str(caught.value)


def test_rows_that_are_not_clean_are_a_warning(tmp_path: Path) -> None:
    """Complete rows beyond the bounds are served, but no model learns from them."""
    path = tmp_path / "a.csv"
    path.write_text(f"{NAMES}\n{lines(60)}{lines(40, bed='99')}")
    summary, warning = preflight.check(path, DATASET)
    assert "100 rows: 100 complete" in summary
    assert warning.startswith(
        f"WARNING: {path}: not clean: 40 of 100 rows are left out (40 %): bed: outside 1 .. 30 40"
    )


def check_in(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The command with these variables."""
    command = [sys.executable, "-m", "veleta_source.preflight"]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
    )


def test_all_faults_of_a_start_are_found_at_once(tmp_path: Path) -> None:
    """Of variables, dataset file and input file. docker compose passes all variables."""
    (tmp_path / "mine.toml").write_text(BICYCLES.read_text().replace('"date"', '"day"'))
    gone = tmp_path / "gone.csv"
    done = check_in(
        {"TREES": "0", "SCALE": "", "WORKERS": "99", "DATASET": str(tmp_path / "mine.toml"), "SOURCE_CSV": str(gone)}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        "TREES=0", "WORKERS=99", "mine.toml", str(gone),
    ]  # fmt: skip


def test_a_file_needs_no_rules_of_batches(tmp_path: Path) -> None:
    """Its rows are divided."""
    (tmp_path / "mine.toml").write_text(BICYCLES.read_text().partition("# Which rows")[0])
    done = check_in({"DATASET": str(tmp_path / "mine.toml"), "SOURCE_CSV": str(BICYCLES_CSV)})
    assert (done.returncode, done.stderr) == (0, "")
    assert ": 600 rows: 600 complete" in done.stdout


@pytest.mark.failure("F362")
def test_a_table_of_places_is_read_before_a_start(tmp_path: Path) -> None:
    """Its fault is one line among the others. Otherwise trainer and inference would stop later."""
    (tmp_path / "places.csv").write_text("code,value\n1,2\n1,3\n")
    places = f'[places]\ntable = "{tmp_path}/places.csv"\nkey = "maker"\n'
    (tmp_path / "mine.toml").write_text(BICYCLES.read_text() + places)
    done = check_in({"DATASET": str(tmp_path / "mine.toml"), "SOURCE_CSV": str(BICYCLES_CSV)})
    expected = f"places {tmp_path}/places.csv: line 3: the key 1 is repeated: leave out one of its rows\n"
    assert (done.returncode, done.stderr) == (1, expected)


def test_an_api_is_asked_until_there_are_data(tmp_path: Path) -> None:
    """Its dataset needs no generator. A run that has data waits for its API."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environment = {"API_URL": url, "DATASET": str(BICYCLES), "POLLER_INBOX": str(tmp_path)}
    first = check_in(environment)
    assert (first.returncode, first.stderr) == (1, f"API_URL={url}: connection refused: is the API running?\n")
    (tmp_path / "position.json").write_text("{}")
    later = check_in(environment)
    assert (later.returncode, later.stdout) == (0, f"rows come from {url}\n")


def test_a_scale_without_a_model_is_refused_until_there_are_data(tmp_path: Path) -> None:
    """The first batch has enough rows for a training and for the holdout. A run that has data continues."""
    small = {"SCALE": "0.0001", "POLLER_INBOX": str(tmp_path)}
    first = check_in(small)
    expected = "SCALE=0.0001: the first batch is too small for a model: use at least 0.00055\n"
    assert (first.returncode, first.stderr) == (1, expected)
    assert check_in({**small, "SCALE": "0.00055"}).returncode == 0
    sales = check_in({**small, "DATASET": "sales"})
    assert sales.stderr == "SCALE=0.0001: the first batch is too small for a model: use at least 0.0004\n"
    (tmp_path / "position.json").write_text("{}")
    assert check_in(small).returncode == 0
