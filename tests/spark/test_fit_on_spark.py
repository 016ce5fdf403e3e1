"""A fit on Spark gives what a fit on this machine gives."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from catboost import CatBoostRegressor

from support.batches import publish_batch
from support.listings import api_rows
from support.markets import FIRST, MARKET, planted_rows
from support.models import train, train_with_intervals
from support.repository import ROOT
from support.spark import fit_command, fit_environment
from support.testbed import Testbed, free_port
from support.trainer import recipe
from support.twins.trainer import MemoryBatches
from veleta.dataset import Dataset, parse_dataset
from veleta.events.catalogue import BatchClosed
from veleta.intervals import error_model_file
from veleta.reference import REFERENCE_FILE, Reference
from veleta.settings import SparkSettings
from veleta_trainer import fit
from veleta_trainer.adapters.child_protocol import (
    CHAMPION,
    CHAMPION_DATASET,
    EVALUATION,
    GATES_FILE,
    METRICS,
    MODEL,
    NOT_TRAINABLE,
    RECIPE,
    SAMPLE,
    SCRATCH,
    SPARK_LOG,
    UNAVAILABLE,
)
from veleta_trainer.domain.recipe import Recipe

PARAMS = {"loss_function": "RMSE", "iterations": 40, "depth": 4, "random_seed": 0, "rsm": 0.3, "max_ctr_complexity": 1}
EXACT = 1e-9
"""The baseline's sums have another order, because the columns of a frame lie otherwise in memory."""


def fit_on_spark(
    folder: Path, testbed: Testbed, settings: SparkSettings, master: str = "local[2]"
) -> subprocess.CompletedProcess[str]:
    """The child process, as the trainer starts it."""
    environment = fit_environment(testbed, settings.jars, master)
    return subprocess.run(fit_command(folder), env=environment, capture_output=True, text=True, check=False)


def both(tmp_path: Path, planned: Recipe, testbed: Testbed, settings: SparkSettings) -> tuple[Path, Path]:
    """The folders of a fit on this machine and of one on Spark. Champions are in `tmp_path`."""
    folders = tmp_path / "local", tmp_path / "spark"
    for folder in folders:
        folder.mkdir()
        (folder / RECIPE).write_text(planned.model_dump_json())
        for name in (CHAMPION, CHAMPION_DATASET):
            if (tmp_path / name).exists():
                (folder / name).write_bytes((tmp_path / name).read_bytes())
    fit.main(folders[0], testbed.kafka_as("trainer"), 1, MemoryBatches())
    finished = fit_on_spark(folders[1], testbed, settings)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return folders


def parameters(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a fit. On a cluster there is no callback after each tree."""
    found: dict[str, Any] = json.loads(metadata["params"])
    found["flat_params"].pop("callbacks", None)
    return found


def check_same(local: Path, spark: Path) -> Recipe:
    """Compare what the trainer reads of two fits. Returns the recipe of both."""
    fitted = Recipe.model_validate_json((local / RECIPE).read_text())
    assert Recipe.model_validate_json((spark / RECIPE).read_text()) == fitted
    models = [CatBoostRegressor().load_model(str(folder / MODEL)) for folder in (local, spark)]
    metadata = [dict(model.get_metadata()) for model in models]
    error_models = [CatBoostRegressor().load_model(blob=error_model_file(each)) for each in metadata]
    for pair in (models, error_models):
        assert np.array_equal(*(model.get_leaf_values() for model in pair))
    assert metadata[0].keys() == metadata[1].keys()
    changing = {key for key in metadata[0] if metadata[0][key] != metadata[1][key]}
    assert changing <= {"model_guid", "train_finish_time", "error_model", "params"}, "each file has the time of its fit"
    assert parameters(metadata[0]) == parameters(metadata[1])
    metrics = [json.loads((folder / METRICS).read_text()) for folder in (local, spark)]
    assert metrics[1] == pytest.approx(metrics[0], rel=EXACT)
    gates = [json.loads((folder / EVALUATION / GATES_FILE).read_text()) for folder in (local, spark)]
    assert gates[1] == gates[0]
    measured = [pd.read_csv(folder / EVALUATION / "measures.csv") for folder in (local, spark)]
    pd.testing.assert_frame_equal(measured[1], measured[0], rtol=EXACT)
    samples = [pd.read_parquet(folder / SAMPLE) for folder in (local, spark)]
    pd.testing.assert_frame_equal(samples[1], samples[0])
    assert Reference.read(spark / REFERENCE_FILE) == Reference.read(local / REFERENCE_FILE)
    (spark / SPARK_LOG).unlink()
    shutil.rmtree(spark / SCRATCH)
    assert {each.name for each in spark.rglob("*")} == {each.name for each in local.rglob("*")}
    return fitted


def published(testbed: Testbed, dataset: Dataset, batches: Sequence[Sequence[dict[str, Any]]]) -> list[BatchClosed]:
    return [publish_batch(testbed.log, dataset, 1, number, rows) for number, rows in enumerate(batches)]


def planned_recipe(dataset: Dataset, **fields: Any) -> Recipe:
    own = {"dataset": dataset.name, "dataset_file": dataset.text, "params": PARAMS}
    return recipe(**own, **fields)


def test_both_engines_give_the_same_version(testbed: Testbed, tmp_path: Path, settings: SparkSettings) -> None:
    """With a champion, with rows that only the holdout has, and with a batch that does not match its manifest.

    The first batch is published again, before the second one and within its range.
    """
    dataset, batches = testbed.dataset, [api_rows(state, 1_200, state) for state in range(4)]
    (first,), (again,) = published(testbed, dataset, batches[:1]), published(testbed, dataset, batches[:1])
    _, second, more, damaged = published(testbed, dataset, batches)
    (part,) = second.ranges
    second = second.model_copy(update={"ranges": [part.model_copy(update={"first": again.ranges[0].first})]})
    train(dataset, tmp_path / CHAMPION)
    (tmp_path / CHAMPION_DATASET).write_text(dataset.text, encoding="utf-8")
    damaged = damaged.model_copy(update={"digest": "0" * 64})
    planned = planned_recipe(dataset, batches=[first, damaged, second], more_holdout=[more], champion=1)
    fitted = check_same(*both(tmp_path, planned, testbed, settings))
    assert fitted.batches == [first, second]
    assert fitted.unreadable == {damaged.batch: "the manifest does not match: the rows have another digest"}


def test_both_engines_learn_the_same_sample(testbed: Testbed, tmp_path: Path, settings: SparkSettings) -> None:
    """The holdout has all of its rows."""
    batches = published(testbed, testbed.dataset, [api_rows(state, 1_200, state) for state in range(2)])
    folders = both(tmp_path, planned_recipe(testbed.dataset, batches=batches, max_rows=500), testbed, settings)
    fitted = check_same(*folders)
    metrics = json.loads((folders[1] / METRICS).read_text())
    assert 480 < metrics["train_rows"] <= 500
    assert 0.2 < fitted.learnt_share < 0.4
    assert metrics["holdout_rows"] > 300


def test_both_engines_find_the_same_market(testbed: Testbed, tmp_path: Path, settings: SparkSettings) -> None:
    """Its levels, and the errors on later periods, which need the rows of the holdout too."""
    market = parse_dataset(MARKET.replace('name = "real_estate"', f'name = "{testbed.dataset.name}"'))
    levels = enumerate([0.0, 0.0, 0.1, 0.2])
    months = [planted_rows([level], 400, seed=number, first=FIRST + number) for number, level in levels]
    train_with_intervals(market, tmp_path / CHAMPION, months[0])
    (tmp_path / CHAMPION_DATASET).write_text(market.text, encoding="utf-8")
    planned = planned_recipe(market, batches=published(testbed, market, months), champion=1)
    local, spark = both(tmp_path, planned, testbed, settings)
    check_same(local, spark)
    assert Reference.read(spark / REFERENCE_FILE).later is not None


def test_a_recipe_that_cannot_be_trained_is_refused(testbed: Testbed, tmp_path: Path, settings: SparkSettings) -> None:
    """With the same words as on this machine."""
    batches = published(testbed, testbed.dataset, [api_rows(0, 12, 1)])
    (tmp_path / RECIPE).write_text(planned_recipe(testbed.dataset, batches=batches).model_dump_json())
    finished = fit_on_spark(tmp_path, testbed, settings)
    assert finished.returncode == NOT_TRAINABLE
    assert "clean training rows and" in finished.stderr
    assert "are too few, 20 and 1 are needed" in finished.stderr


def test_a_master_that_is_down_is_named(testbed: Testbed, tmp_path: Path, settings: SparkSettings) -> None:
    """The trainer repeats the training when it is up."""
    batches = published(testbed, testbed.dataset, [api_rows(0, 12, 1)])
    (tmp_path / RECIPE).write_text(planned_recipe(testbed.dataset, batches=batches).model_dump_json())
    port, began = free_port(), time.monotonic()
    finished = fit_on_spark(tmp_path, testbed, settings, f"spark://127.0.0.1:{port}")
    assert finished.returncode == UNAVAILABLE
    assert finished.stderr.startswith(f"spark: no master answers at 127.0.0.1:{port}")
    assert time.monotonic() - began < 60, "Python alone may need seconds to start on a busy machine"


@pytest.mark.failure("F499")
def test_temporary_files_are_in_the_folder_of_the_fit(
    testbed: Testbed, tmp_path: Path, settings: SparkSettings
) -> None:
    """Those of Java and of its Python processes. So the trainer deletes them, also after a kill."""
    batches = published(testbed, testbed.dataset, [api_rows(state, 1_200, state) for state in range(2)])
    (tmp_path / RECIPE).write_text(planned_recipe(testbed.dataset, batches=batches).model_dump_json())
    environment, seen = fit_environment(testbed, settings.jars, "local[2]"), set[str]()
    fit_process = subprocess.Popen(fit_command(tmp_path), env=environment)
    while fit_process.poll() is None:
        for process in psutil.Process(fit_process.pid).children(recursive=True):
            seen |= set(open_paths(process))
        time.sleep(0.5)
    assert fit_process.returncode == 0
    java = {path for path in seen if path.startswith(str(tmp_path / SCRATCH))}
    assert [path for path in java if "blockmgr" in path]
    others = {path for path in seen - java if path.startswith(f"{tempfile.gettempdir()}/")}
    others = {path for path in others if not Path(path).is_relative_to(ROOT)}  # the clone may be there itself
    assert [path for path in others if "hsperfdata" not in path and path != str(tmp_path / SPARK_LOG)] == []


def open_paths(process: psutil.Process) -> Iterator[str]:
    """The files that a process has open or mapped."""
    with suppress(psutil.Error):
        yield from (each.path for each in process.open_files())
        yield from (each.path for each in process.memory_maps())
