"""A file is scored by the champion, on real Kafka and MLflow, beside a real process of inference."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.http import post
from support.models import Models
from support.scoring import COMMAND, champion, environment, new_rows, read_rows, score, write_rows
from support.testbed import Process, Testbed, wait_until
from veleta_inference.adapters.input_chunks import CHUNK_ROWS

ROWS_OF_A_REQUEST = 100
INTERRUPTED = "interrupted: what is complete is kept, and the same command goes on\n"


@pytest.fixture(scope="module")
def models(testbed: Testbed) -> Models:
    """The champion, version 1, has intervals, whose level was adjusted."""
    return champion(testbed)


@pytest.fixture(scope="module")
def inference(testbed: Testbed, models: Models) -> Iterator[Process]:
    """It serves the champion."""
    with testbed.service("inference", "inference") as process:
        process.wait_until_ready()
        yield process


def answers(process: Process, rows: list[dict[str, Any]]) -> list[tuple[float, float, float, str]]:
    """What /predict answers to each row: price, low, high and warnings."""
    found = []
    for start in range(0, len(rows), ROWS_OF_A_REQUEST):
        status, body = post(f"{process.url}/predict", rows[start : start + ROWS_OF_A_REQUEST])
        assert status == 200, body
        for item in body["predictions"]:
            warnings = "; ".join(f"{each['field']} {each['message']}" for each in item.get("warnings", ()))
            found.append((item["price"], item["low"], item["high"], warnings))
    return found


def test_each_row_has_the_answer_of_predict(testbed: Testbed, inference: Process, tmp_path: Path) -> None:
    """Price, interval and warnings, to the last bit, from a CSV and from a Parquet file. Nothing else stays."""
    rows = new_rows(1_200)
    csv_file, out = write_rows(tmp_path / "rows.csv", rows), tmp_path / "prices.csv"
    done = score(testbed, csv=csv_file, out=out)
    assert done.returncode == 0, done.stderr
    assert f"model {testbed.dataset.name} 1\n" in done.stdout
    expected, target = answers(inference, rows), testbed.dataset.target
    scored = read_rows(out)
    found = [
        (float(row[f"predicted_{target}"]), float(row["low"]), float(row["high"]), row["warnings"]) for row in scored
    ]
    assert found == expected
    assert any(warnings for *_, warnings in expected)
    assert {row["model_version"] for row in scored} == {"1"}
    names = list(rows[0])
    assert [[row[name] for name in names] for row in scored] == [
        [row[name] for name in names] for row in read_rows(csv_file)
    ]

    without_price = [{name: value for name, value in row.items() if name != target} for row in rows]
    pq.write_table(pa.Table.from_pylist(without_price), tmp_path / "rows.parquet")
    done = score(testbed, parquet=tmp_path / "rows.parquet", out=tmp_path / "prices.parquet")
    assert done.returncode == 0, done.stderr
    table = pq.read_table(tmp_path / "prices.parquet")
    assert table.select(list(without_price[0])).to_pylist() == without_price
    assert list(zip(*(table[name].to_pylist() for name in (target, "low", "high")), strict=True)) == [
        row[:3] for row in expected
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "prices.csv", "prices.parquet", "rows.csv", "rows.parquet",
    ]  # fmt: skip


@pytest.mark.failure("F605")
def test_rows_without_a_price_are_in_a_file_of_their_own(testbed: Testbed, inference: Process, tmp_path: Path) -> None:
    """In the words of /predict. The others have their prices."""
    rows = new_rows(60)
    wrong: dict[int, dict[str, Any]] = {
        3: {"bed": "four"},
        7: {"house_size": -1.0, "city": ""},
        50: {"prev_sold_date": "soon"},
    }
    for number, changes in wrong.items():
        rows[number] |= changes
    done = score(testbed, csv=write_rows(tmp_path / "rows.csv", rows), out=tmp_path / "prices.csv")
    assert done.returncode == 0, done.stderr
    assert "57 rows with prices" in done.stdout
    assert "what is wrong with 3 rows" in done.stdout
    kept = [row for number, row in enumerate(rows) if number not in wrong]
    prices = [float(row[f"predicted_{testbed.dataset.target}"]) for row in read_rows(tmp_path / "prices.csv")]
    assert prices == [price for price, *_ in answers(inference, kept)]
    listed = {(int(row["row"]), row["column"], row["message"]) for row in read_rows(tmp_path / "prices.csv.errors.csv")}
    expected = set()
    for number, changes in wrong.items():
        sent = {name: value for name, value in rows[number].items() if value != ""}
        status, problem = post(f"{inference.url}/predict", sent)
        assert status == 422
        expected |= {(number, each["field"], each["message"]) for each in problem["errors"]}
        assert {each["field"] for each in problem["errors"]} == changes.keys()
    assert listed == expected
    assert {row["line"] for row in read_rows(tmp_path / "prices.csv.errors.csv")} == {"5", "9", "52"}


@pytest.mark.failure("F600")
@pytest.mark.parametrize(("number", "ending"), [(signal.SIGKILL, (-9, "")), (signal.SIGINT, (1, INTERRUPTED))])
def test_a_job_that_was_killed_goes_on(
    number: signal.Signals, ending: tuple[int, str], testbed: Testbed, models: Models, tmp_path: Path
) -> None:
    """With the chunks that were complete. Until the end there is no output, and the children of the killed one end."""
    path = write_rows(tmp_path / "rows.csv", new_rows(600) * (4 * CHUNK_ROWS // 600))
    out, chunks = tmp_path / "prices.csv", tmp_path / ".prices.csv.chunks"
    job = subprocess.Popen(
        COMMAND,
        env=environment(testbed, csv=path, out=out, workers=1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until((chunks / "0.refused").exists, 120, "the first chunk")
    finally:
        job.send_signal(number)
        _, error = job.communicate()
    assert (job.returncode, error) == ending
    assert not out.exists()
    first = chunks / "0.csv"
    marked = first.read_bytes().replace(b",1,", b",first start,", 1)
    first.write_bytes(marked)  # it shows that this chunk is not computed again
    done = score(testbed, csv=path, out=out)
    assert done.returncode == 0, done.stderr
    assert "rows of an earlier start are kept" in done.stdout
    scored = read_rows(out)
    assert [row["model_version"] for row in scored] == ["first start"] + ["1"] * (len(scored) - 1)
    assert (len(scored), chunks.exists()) == (len(read_rows(path)), False)


@pytest.mark.failure("F606")
def test_the_chunks_of_another_input_are_not_used(testbed: Testbed, models: Models, tmp_path: Path) -> None:
    """Nor those of another version. The message names what is different."""
    path, out, chunks = tmp_path / "rows.csv", tmp_path / "prices.csv", tmp_path / ".prices.csv.chunks"
    for seed in (2, 3):
        rows = write_rows(path, new_rows(60, seed))
        chunks.mkdir()
        (chunks / "job.json").write_text(
            '{"key": {"input": "another", "version": 1}, "at": "2026-01-01T00:00:00+00:00"}'
        )
        (chunks / "0.refused").write_text("0")
        (chunks / "0.csv").write_text("stale\n")
        done = score(testbed, csv=rows, out=out)
        assert done.returncode == 0, done.stderr
        assert "starts anew: the chunks of an earlier start were of another input" in done.stdout
        assert len(read_rows(out)) == 60
        out.unlink()


@pytest.mark.failure("F603")
def test_nothing_is_overwritten(testbed: Testbed, models: Models, tmp_path: Path) -> None:
    """An output that is there stays, and the message says what to do."""
    rows, out = write_rows(tmp_path / "rows.csv", new_rows(60)), tmp_path / "prices.csv"
    out.write_text("mine")
    done = score(testbed, csv=rows, out=out)
    assert (done.returncode, out.read_text()) == (1, "mine")
    assert done.stderr == f"{out} is there already: pass OUT=another, or delete it\n"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"csv": "", "out": "o.csv"}, "pass a file with rows"),
        ({"csv": "a.csv", "parquet": "a.parquet", "out": "o.csv"}, "exclude one another"),
        ({"csv": "no.csv", "out": "o.csv"}, "no.csv: cannot be read: No such file or directory"),
        ({"csv": "no.csv", "out": "o.xlsx"}, "use a name that ends in .csv or .parquet"),
    ],
)
def test_a_wrong_command_is_one_line(testbed: Testbed, variables: dict[str, str], message: str, tmp_path: Path) -> None:
    """It says what to pass."""
    done = score(testbed, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.failure("F602")
def test_without_the_registry_no_row_is_scored(testbed: Testbed, tmp_path: Path) -> None:
    """The command ends with the reason, and leaves nothing."""
    rows = write_rows(tmp_path / "rows.csv", new_rows(60))
    done = score(testbed, csv=rows, out=tmp_path / "o.csv", mlflow_tracking_uri="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("mlflow: ")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
