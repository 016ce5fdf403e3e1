"""The evaluation of a model on the rows of a file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import load_dataset
from veleta.features import property_hash
from veleta_trainer.domain.folds import property_folds
from veleta_trainer.domain.scores import scores
from veleta_trainer.evaluate import read_rows

ROWS = 400


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file. Its second row is incomplete, and its third one is not clean."""
    frame = pd.DataFrame(api_rows(0, ROWS, 3))
    frame.loc[1, "bed"] = None
    frame.loc[2, DATASET.target] = 1.0
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def evaluate(**variables: str) -> subprocess.CompletedProcess[str]:
    """The command with these variables."""
    command = [sys.executable, "-W", "error", "-m", "veleta_trainer.evaluate"]
    environment = {**os.environ, "TREES": "20", "THREADS": "2", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)


def test_each_clean_row_is_predicted_by_models_of_other_properties(file: Path, tmp_path: Path) -> None:
    """The file of predictions has its position, fold, price, prediction and interval; the report has the scores."""
    out = tmp_path / "out.parquet"
    done = evaluate(CSV=str(file), FOLDS="3", SEED="7", OUT=str(out))
    assert (done.returncode, done.stderr) == (0, "")
    found, rows = pd.read_parquet(out), pd.read_csv(file)
    assert list(found.columns) == ["row", "fold", DATASET.target, "prediction", "low", "high", "size"]
    assert found["row"].tolist() == [0, *range(3, ROWS)]
    assert found[DATASET.target].tolist() == rows[DATASET.target].iloc[found["row"]].tolist()
    assert set(found["fold"]) == {0, 1, 2}
    assert np.all((found["low"] < found["prediction"] * 2) & (found["low"] < found["high"]))
    assert found["size"].gt(0).all()
    expected = scores(found[DATASET.target].to_numpy(), found["prediction"].to_numpy())
    assert f"Veleta: MAE {expected['mae']:,.0f}, median APE {100 * expected['median_ape']:.2f} %" in done.stdout
    inside = (found["low"] <= found[DATASET.target]) & (found[DATASET.target] <= found["high"])
    assert f"coverage {100 * inside.mean():.1f} %, by fifth of the prediction " in done.stdout
    assert "HistGradientBoosting: MAE " in done.stdout
    assert not list(tmp_path.glob(".*"))


def test_rows_with_gaps_are_measured_apart(file: Path, tmp_path: Path) -> None:
    """If the dataset has optional columns. Both models, and the intervals."""
    frame = pd.read_csv(file)
    frame.loc[frame.index % 2 == 0, "house_size"] = None
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    variables = {"CSV": str(tmp_path / "gaps.csv"), "FOLDS": "2", "OUT": str(tmp_path / "out.parquet")}
    done = evaluate(DATASET="listings", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    found, rows = pd.read_parquet(tmp_path / "out.parquet"), pd.read_csv(tmp_path / "gaps.csv")
    gaps = rows[["bed", "house_size"]].isna().any(axis=1).to_numpy()[found["row"]]
    for name, chosen in (("complete rows", ~gaps), ("incomplete rows", gaps)):
        part = found[chosen]
        inside = (part["low"] <= part[DATASET.target]) & (part[DATASET.target] <= part["high"])
        mae = (part["prediction"] - part[DATASET.target]).abs().mean()
        assert f"{name} ({len(part):,}): Veleta: MAE {mae:,.0f}, " in done.stdout
        assert f"{name} ({len(part):,}): HistGradientBoosting: MAE " in done.stdout
        assert f"{name} ({len(part):,}): intervals of 80 %: median width " in done.stdout
        assert f"coverage {100 * inside.mean():.1f} %\n" in done.stdout


@pytest.mark.failure("F421")
def test_what_cannot_be_evaluated_is_one_line(file: Path, tmp_path: Path) -> None:
    """A variable out of its bounds, a file that is missing, and too few rows."""
    for variables, message in (
        ({}, "CSV is missing: use "),
        ({"CSV": str(file), "FOLDS": "1"}, "FOLDS=1: use a whole number from 2 up to 20"),
        ({"CSV": str(tmp_path / "gone.csv")}, "gone.csv: cannot be read: No such file"),
        ({"CSV": str(file), "FOLDS": "20"}, f"{ROWS - 2} clean rows are too few for 20 folds"),
    ):
        done = evaluate(**variables)
        assert done.returncode == 1
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_all_rows_of_a_property_are_in_one_fold() -> None:
    """Folds have the same size, and another seed divides otherwise."""
    properties = np.repeat(np.arange(1_000, dtype=np.uint64) * np.uint64(7919), 3)
    folds = property_folds(properties, 5, seed=1)
    assert np.all(folds.reshape(-1, 3) == folds.reshape(-1, 3)[:, :1])
    assert np.bincount(folds).tolist() == [600] * 5
    assert folds.tolist() == property_folds(properties, 5, seed=1).tolist()
    assert folds.tolist() != property_folds(properties, 5, seed=2).tolist()


def test_rows_of_every_batch_are_evaluated(file: Path) -> None:
    """Also those that no rule of the dataset file takes."""
    dataset = load_dataset("real_estate")
    few = dataset.model_copy(update={"source": dataset.source[:1]})
    positions, rows = read_rows(file, few)
    assert len(positions) == len(rows) == ROWS - 2
    first, _ = dataset.convert(api_rows(0, ROWS, 3)[0])
    assert rows.properties()[0] == property_hash(dataset, first)
