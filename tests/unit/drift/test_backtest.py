"""The backtest of the drift policies on the rows of a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.listings import api_rows
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")
ROWS = 600
SHIFTS = [
    "nothing",
    "price +5 %",
    "price +10 %",
    "house_size mix",
    "house_size missing",
    "state mix",
    "price +10 % in 3 of state",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, of which the second one is incomplete, and predictions that are wrong by about 10 %."""
    folder = tmp_path_factory.mktemp("rows")
    rows = pd.DataFrame(api_rows(0, ROWS, 3))
    rows.loc[1, "bed"] = None
    rows.to_csv(folder / "rows.csv", index=False)
    numbers = [0, *range(2, ROWS)]
    prices = rows["price"].to_numpy(float)[numbers]
    errors = np.random.default_rng(1).normal(0, 0.1, len(prices))
    columns = {
        "row": numbers,
        "price": prices,
        "prediction": prices * np.exp(-errors),
        "size": np.full(len(prices), 0.1),
    }
    pd.DataFrame(columns).to_parquet(folder / "predictions.parquet", index=False)
    return folder


def backtest(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command with these variables."""
    command = [sys.executable, "-W", "error", "-m", "veleta_drift.backtest", *arguments]
    own = {"CSV": str(folder / "rows.csv"), "PREDICTIONS": str(folder / "predictions.parquet"), "DRAWS": "6"}
    environment = {name: text for name, text in {**os.environ, **own, **variables}.items() if text}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_each_policy_is_measured(folder: Path, tmp_path: Path) -> None:
    """The file has the counts by size and shift, the table the shares, and the plot is one file."""
    out = tmp_path / "out.json"
    done = backtest(folder, ROWS="300,35,5000", OUT=str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert "skipped: batches of 5,000 rows, because the file has 599 clean ones" in done.stdout
    found = json.loads(out.read_text())
    assert list(found) == ["seed", "evidence", "sequential"]
    for policy in found.values():
        assert list(policy["rows"]) == ["35", "300"]
        assert all(list(each["shifts"]) == SHIFTS for each in policy["rows"].values())
        assert policy["batches"] == 6 * len(SHIFTS) * 2
        for key in ("batches", "retrains", "helped", "false_alarms", "missed"):
            assert policy[key] == sum(each[key] for each in policy["rows"].values())
    few, many = (found["evidence"]["rows"][size] for size in ("35", "300"))
    assert (few["retrains"], few["missed"], few["delay"]) == (0, 18, None)
    assert many["shifts"]["price +10 %"]["drift"] == 6
    assert many["shifts"]["house_size missing"]["noticed"] > many["shifts"]["house_size missing"]["drift"]
    assert found["seed"]["rows"]["35"]["false_alarms"] > 0
    low, high = many["shifts"]["nothing"]["interval"]
    assert f"95 %: {100 * low:.1f} to {100 * high:.1f} %" in done.stdout
    plot = out.with_suffix(".svg").read_text()
    assert plot.startswith("<svg ")
    assert plot.count("<polyline ") == 3 * len(SHIFTS)
    assert "http" not in plot.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_the_same_seed_gives_the_same_counts(folder: Path, tmp_path: Path) -> None:
    """Also if only one policy is measured, or one size. Another seed draws other rows."""
    found = []
    for number, variables in enumerate(
        ({"ROWS": "35,50"}, {"ROWS": "50", "POLICY": "seed"}, {"ROWS": "50", "SEED": "1"})
    ):
        out = tmp_path / f"{number}.json"
        assert backtest(folder, OUT=str(out), **variables).returncode == 0
        found.append(json.loads(out.read_text()))
    assert list(found[1]) == ["seed"]
    assert found[0]["seed"]["rows"]["50"] == found[1]["seed"]["rows"]["50"]
    assert found[0]["sequential"] != found[2]["sequential"]


def test_a_dataset_without_categories_has_fewer_shifts(folder: Path, tmp_path: Path) -> None:
    """Those of its columns."""
    text = """
        name = "sheds"
        title = "Sheds"
        target = "price"
        identity = ["street"]
        columns = [
            { name = "price", title = "Price", kind = "number" },
            { name = "street", title = "Street", kind = "identifier" },
            { name = "house_size", title = "Size", kind = "number" },
        ]
        [cleaning]
        price = [1, 1_000_000_000]
        [example]
        price = 1.0
        street = 1.0
        house_size = 1.0
    """
    (tmp_path / "sheds.toml").write_text(text)
    rows = pd.read_csv(folder / "rows.csv")
    columns = {"row": range(ROWS), "price": rows["price"], "prediction": rows["price"], "size": np.full(ROWS, 0.1)}
    pd.DataFrame(columns).to_parquet(tmp_path / "predictions.parquet", index=False)
    out = tmp_path / "out.json"
    variables = {"DATASET": str(tmp_path / "sheds.toml"), "PREDICTIONS": str(tmp_path / "predictions.parquet")}
    done = backtest(folder, ROWS="120", OUT=str(out), **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(json.loads(out.read_text())["evidence"]["rows"]["120"]["shifts"]) == SHIFTS[:5]


@pytest.mark.failure("F450")
def test_what_cannot_be_measured_is_one_line(folder: Path, tmp_path: Path) -> None:
    """Variables out of their bounds, files that are missing or of other rows, and too few rows. Nothing is written."""
    other = tmp_path / "other.parquet"
    pd.read_parquet(folder / "predictions.parquet").assign(price=1.0).to_parquet(other)
    out = tmp_path / "out.json"
    for variables, message in (
        ({"CSV": ""}, "CSV is missing: use "),
        ({"ROWS": "100,many"}, "ROWS: use numbers of rows, as 100,500,2000"),
        ({"ROWS": "0"}, "ROWS: use numbers of rows, as 100,500,2000"),
        ({"DRAWS": "0"}, "DRAWS=0: use a whole number from 1 up to 10000"),
        ({"POLICY": "psi"}, "POLICY=psi: use evidence, seed or sequential"),
        ({"CSV": str(tmp_path / "gone.csv")}, "gone.csv: cannot be read: No such file"),
        ({"PREDICTIONS": str(tmp_path / "gone.parquet")}, "gone.parquet: cannot be read: "),
        ({"PREDICTIONS": str(folder / "rows.csv")}, "rows.csv: cannot be read: "),
        ({"PREDICTIONS": str(other)}, "other.parquet: are of other rows than those of "),
        ({"ROWS": "5000"}, "599 clean rows are too few for each size in ROWS"),
    ):
        done = backtest(folder, OUT=str(out), **variables)
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("*out*"))


def test_the_variables_can_be_checked_alone(tmp_path: Path) -> None:
    """Before the model is fitted: no file is read yet."""
    assert backtest(tmp_path, "check").returncode == 0
    assert backtest(tmp_path, "check", DRAWS="0").returncode == 1


def test_the_predictions_of_evaluate_are_read(folder: Path, tmp_path: Path) -> None:
    """The two steps of `make backtest`."""
    predictions = tmp_path / "predictions.parquet"
    variables = {"CSV": str(folder / "rows.csv"), "OUT": str(predictions), "FOLDS": "2", "TREES": "10", "THREADS": "2"}
    command = [sys.executable, "-m", "veleta_trainer.evaluate"]
    subprocess.run(command, env={**os.environ, **variables}, capture_output=True, check=True, timeout=240)
    done = backtest(folder, ROWS="100", DRAWS="1", PREDICTIONS=str(predictions), OUT=str(tmp_path / "out.json"))
    assert (done.returncode, done.stderr) == (0, "")
