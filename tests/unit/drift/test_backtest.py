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
from veleta.errors import Stop
from veleta.input.faults import FaultyInput
from veleta_drift.backtest import main

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


class Command:
    """The command in this process: starting it takes two seconds."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self._own = {"CSV": f"{folder}/rows.csv", "PREDICTIONS": f"{folder}/predictions.parquet", "DRAWS": "6"}

    def __call__(self, *arguments: str, **variables: str) -> str:
        """Run it with these variables; return what it printed."""
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["backtest", *arguments])
            for name, text in (self._own | variables).items():
                patch.setenv(name, text) if text else patch.delenv(name, raising=False)
            main()
        return self._capsys.readouterr().out


@pytest.fixture
def backtest(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command on the rows of `folder`."""
    return Command(folder, monkeypatch, capsys)


def test_each_policy_is_measured(backtest: Command, tmp_path: Path) -> None:
    """The file has the counts by size and shift, the table the shares, and the plot is one file."""
    out = tmp_path / "out.json"
    printed = backtest(ROWS="300,35,5000", OUT=str(out))
    assert "skipped: batches of 5,000 rows, because the file has 599 clean ones" in printed
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
    assert f"95 %: {100 * low:.1f} to {100 * high:.1f} %" in printed
    plot = out.with_suffix(".svg").read_text()
    assert plot.startswith("<svg ")
    assert plot.count("<polyline ") == 3 * len(SHIFTS)
    assert "http" not in plot.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_the_same_seed_gives_the_same_counts(backtest: Command, tmp_path: Path) -> None:
    """Also if only one policy is measured, or one size. Another seed draws other rows."""
    found = []
    for number, variables in enumerate(
        ({"ROWS": "35,50"}, {"ROWS": "50", "POLICY": "seed"}, {"ROWS": "50", "SEED": "1"})
    ):
        out = tmp_path / f"{number}.json"
        backtest(OUT=str(out), **variables)
        found.append(json.loads(out.read_text()))
    assert list(found[1]) == ["seed"]
    assert found[0]["seed"]["rows"]["50"] == found[1]["seed"]["rows"]["50"]
    assert found[0]["sequential"] != found[2]["sequential"]


def test_a_dataset_without_categories_has_fewer_shifts(backtest: Command, folder: Path, tmp_path: Path) -> None:
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
    backtest(ROWS="120", OUT=str(out), **variables)
    assert list(json.loads(out.read_text())["evidence"]["rows"]["120"]["shifts"]) == SHIFTS[:5]


@pytest.mark.failure("F450")
def test_what_cannot_be_measured_is_one_line(backtest: Command, folder: Path, tmp_path: Path) -> None:
    """Variables out of their bounds, files that are missing or of other rows, and too few rows. Nothing is written."""
    other = tmp_path / "other.parquet"
    pd.read_parquet(folder / "predictions.parquet").assign(price=1.0).to_parquet(other)
    out = tmp_path / "out.json"
    for variables, message in (
        ({"CSV": ""}, "CSV is missing: use "),
        ({"ROWS": "100,many"}, "ROWS: use numbers of rows, as 100,500,2000"),
        ({"ROWS": "0"}, "ROWS: use numbers of rows, as 100,500,2000"),
        ({"DRAWS": "0"}, "DRAWS=0: use a whole number from 1 up to 10,000"),
        ({"POLICY": "psi"}, "POLICY=psi: use evidence, seed or sequential"),
        ({"CSV": str(tmp_path / "gone.csv")}, "gone.csv: cannot be read: No such file"),
        ({"PREDICTIONS": str(tmp_path / "gone.parquet")}, "gone.parquet: cannot be read: "),
        ({"PREDICTIONS": str(folder / "rows.csv")}, "rows.csv: cannot be read: "),
        ({"PREDICTIONS": str(other)}, "other.parquet: are of other rows than those of "),
        ({"ROWS": "5000"}, "599 clean rows are too few for each size in ROWS"),
    ):
        with pytest.raises((Stop, FaultyInput)) as fault:
            backtest(OUT=str(out), **variables)
        assert message in str(fault.value)
        assert len(str(fault.value).splitlines()) == 1
    assert not list(tmp_path.glob("*out*"))


def test_the_variables_can_be_checked_alone(backtest: Command, tmp_path: Path) -> None:
    """Before the model is fitted: no file is read yet."""
    assert backtest("check", CSV=str(tmp_path / "later.csv")) == ""
    with pytest.raises(Stop):
        backtest("check", DRAWS="0")


def test_the_two_steps_of_make_backtest(folder: Path, tmp_path: Path) -> None:
    """The predictions of `make evaluate` are read. A fault is one line, and the exit code is 1."""
    variables = {
        "CSV": str(folder / "rows.csv"),
        "FOLDS": "2",
        "TREES": "10",
        "THREADS": "2",
        "DRAWS": "1",
        "ROWS": "100",
    }

    def run(module: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", module]
        environment = {**os.environ, **variables, **more}
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run("veleta_trainer.evaluate", OUT="backtest.parquet").returncode == 0
    done = run("veleta_drift.backtest")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "counts: backtest.json, plot: backtest.svg"
    done = run("veleta_drift.backtest", ROWS="5000")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
